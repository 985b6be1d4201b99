//! Reading the `Forwarded` header (RFC 7239) strictly. A caller writes the left part of the line, and must not be able to
//! change how the right part is read, which a trusted proxy added.

use std::net::{IpAddr, Ipv6Addr};

/// The `for` parameter of each element, from left to right: `None` where it is hidden, unknown or absent. From the first
/// violation of the grammar on, for example an open quote, the rest of the line is one `None`.
pub(super) fn hops(line: &str) -> Vec<Option<IpAddr>> {
    let mut hops = Vec::new();
    let mut rest = line.trim_start();
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(',') {
            // RFC 9110 allows empty elements in a list, and has them ignored.
            rest = after.trim_start();
            continue;
        }
        match element(rest) {
            Some((hop, after)) => {
                hops.push(hop);
                rest = after;
            }
            None => {
                hops.push(None);
                break;
            }
        }
    }
    hops
}

/// The `for` parameter of the first element, and the rest of the line, which is empty or starts with a comma. `None` when the
/// element violates the grammar.
fn element(text: &str) -> Option<(Option<IpAddr>, &str)> {
    let mut node: Option<String> = None;
    let mut rest = text;
    loop {
        let (name, after) = rest.split_at(rest.find(|c: char| !is_token(c))?);
        if name.is_empty() {
            return None;
        }
        let (value, after) = value(after.strip_prefix('=')?)?;
        // The grammar allows each parameter once in an element.
        if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
            return None;
        }
        rest = after.trim_start();
        match rest.strip_prefix(';') {
            Some(more) => rest = more.trim_start(),
            None if rest.is_empty() || rest.starts_with(',') => return Some((node.as_deref().and_then(address), rest)),
            None => return None,
        }
    }
}

/// A value and the rest of the text. The value is a quoted string, or a run of characters that are not delimiters; that is more
/// than the grammar allows, because many proxies send addresses with ports unquoted.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c.is_whitespace() || ",;=\"\\".contains(c)).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_owned(), &text[end..]));
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((value, &quoted[at + 1..])),
            '\\' => value.push(chars.next()?.1),
            _ => value.push(c),
        }
    }
    None
}

fn is_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c)
}

/// An address, with or without a port: `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
pub(super) fn address(node: &str) -> Option<IpAddr> {
    if let Ok(address) = node.parse::<IpAddr>() {
        return Some(address.to_canonical());
    }
    let (address, port) = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            let address = IpAddr::V6(address.parse::<Ipv6Addr>().ok()?);
            if after.is_empty() {
                return Some(address.to_canonical());
            }
            (address, after.strip_prefix(':')?)
        }
        None => {
            let (address, port) = node.split_once(':')?;
            (IpAddr::V4(address.parse().ok()?), port)
        }
    };
    is_port(port).then(|| address.to_canonical())
}

/// Whether the text is a port: up to five digits, or an obfuscated name such as `_x`.
fn is_port(text: &str) -> bool {
    match text.strip_prefix('_') {
        Some(hidden) => !hidden.is_empty() && hidden.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b)),
        None => (1..=5).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()),
    }
}
