//! Idempotent requests: the key that the client chose, and a fingerprint of the request that it was used for.
//!
//! It follows the IETF draft [The Idempotency-Key HTTP Header Field].
//!
//! [The Idempotency-Key HTTP Header Field]: https://datatracker.ietf.org/doc/draft-ietf-httpapi-idempotency-key-header/

use sha2::{Digest, Sha256};

const MAX_LENGTH: usize = 255;

/// Why a text is not an idempotency key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key has no characters.
    #[error("the idempotency key is empty")]
    Empty,
    /// The key has more than 255 characters; the field is how many it has.
    #[error("an idempotency key has at most 255 characters; this one has {0}")]
    TooLong(usize),
    /// The key has a space, a control character or a character outside ASCII.
    #[error("an idempotency key consists of visible ASCII characters, without spaces")]
    Character,
    /// The key begins with a quote but is not a structured-field string.
    #[error("the idempotency key has an opening quote but is not one quoted string")]
    Quote,
}

/// A key of 1 to 255 visible ASCII characters. Clients send it quoted, as the draft requires, or bare; both forms are the
/// same key.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The key without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::str::FromStr for IdempotencyKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.trim();
        let key = match text.strip_prefix('"') {
            Some(quoted) => unquote(quoted).ok_or(KeyError::Quote)?,
            None => text.to_owned(),
        };
        if key.is_empty() {
            return Err(KeyError::Empty);
        }
        if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(KeyError::Character);
        }
        if key.len() > MAX_LENGTH {
            return Err(KeyError::TooLong(key.len()));
        }
        Ok(Self(key))
    }
}

/// Parses the rest of a structured-field string (RFC 9651, section 3.3.3) after its opening quote. Nothing may follow the
/// closing quote.
fn unquote(text: &str) -> Option<String> {
    let mut key = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return chars.next().is_none().then_some(key),
            '\\' => key.push(chars.next().filter(|c| matches!(c, '"' | '\\'))?),
            other => key.push(other),
        }
    }
}

/// The SHA-256 of everything that determines what a request does. A key that comes again with another fingerprint was
/// reused by mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 32]);

impl std::fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// Hashes labelled parts. Each label and each part is preceded by its length, so two different lists of parts never hash
/// the same bytes.
#[derive(Clone, Default)]
pub struct FingerprintBuilder(Sha256);

impl FingerprintBuilder {
    /// A builder without parts.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a part. The order of the parts matters.
    #[must_use]
    pub fn part(mut self, label: &str, bytes: &[u8]) -> Self {
        for field in [label.as_bytes(), bytes] {
            // No supported platform has a usize of more than 64 bits.
            self.0.update((field.len() as u64).to_be_bytes());
            self.0.update(field);
        }
        self
    }

    /// The fingerprint of all parts.
    pub fn finish(self) -> Fingerprint {
        Fingerprint(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quoted_and_bare_are_the_same_key() {
        let key = |text: &str| text.parse::<IdempotencyKey>().map(|key| key.as_str().to_owned());
        for text in ["8e03978e-40d5", "\"8e03978e-40d5\"", "  8e03978e-40d5 "] {
            assert_eq!(key(text).unwrap(), "8e03978e-40d5", "{text}");
        }
        assert_eq!(key(r#""a\"b\\c""#).unwrap(), r#"a"b\c"#);
        assert_eq!(key(&"k".repeat(255)).unwrap().len(), 255);
        assert_eq!(key(&format!("\"{}\"", "k".repeat(255))).unwrap().len(), 255);
        for (text, error) in [
            ("", KeyError::Empty),
            ("\"\"", KeyError::Empty),
            ("\"", KeyError::Quote),
            ("\"open", KeyError::Quote),
            ("\"a\";b=1", KeyError::Quote),
            ("\"a\\n\"", KeyError::Quote),
            ("a b", KeyError::Character),
            ("\"a b\"", KeyError::Character),
            ("schlüssel", KeyError::Character),
            ("a\u{7f}", KeyError::Character),
            (&"k".repeat(256), KeyError::TooLong(256)),
        ] {
            assert_eq!(key(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_fingerprint_depends_on_the_parts_and_their_boundaries() {
        let of = |parts: &[(&str, &str)]| {
            let build = |builder: FingerprintBuilder, part: &(&str, &str)| builder.part(part.0, part.1.as_bytes());
            parts.iter().fold(FingerprintBuilder::new(), build).finish()
        };
        let all = [
            of(&[]),
            of(&[("", "")]),
            of(&[("scale", "2"), ("model", "auto")]),
            of(&[("model", "auto"), ("scale", "2")]),
            of(&[("scale", "2model"), ("", "auto")]),
            of(&[("scale", "4"), ("model", "auto")]),
            of(&[("scale2", ""), ("model", "auto")]),
        ];
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one), "{i}");
        }
        assert_eq!(all[2], of(&[("scale", "2"), ("model", "auto")]));
        // The fingerprint of no parts is the SHA-256 of no bytes.
        assert_eq!(all[0].to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
