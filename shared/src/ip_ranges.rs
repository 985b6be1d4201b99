//! Address ranges in settings: CIDR notation or a single address. IPv4-mapped IPv6 addresses are treated as IPv4.

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};

/// Parses one range. A single address is a range of one address; bits beyond the prefix are cleared.
pub fn parse(word: &str) -> Option<IpNet> {
    let net = word.parse::<IpNet>().ok().or_else(|| word.parse::<IpAddr>().ok().map(IpNet::from))?;
    Some(unmapped(net).trunc())
}

/// Splits a list at commas and white space.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty())
}

/// Whether one of the ranges contains the address.
pub fn any_contains(nets: &[IpNet], address: IpAddr) -> bool {
    let address = address.to_canonical();
    nets.iter().any(|net| net.contains(&address))
}

/// The IPv4 form of an IPv4-mapped range. Mapped addresses are compared as IPv4, so ranges have to be IPv4 as well.
fn unmapped(net: IpNet) -> IpNet {
    let IpNet::V6(v6) = net else { return net };
    let (Some(v4), Some(prefix)) = (v6.addr().to_ipv4_mapped(), v6.prefix_len().checked_sub(96)) else { return net };
    Ipv4Net::new(v4, prefix).map_or(net, IpNet::V4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_in_every_form() {
        for (text, net) in [
            ("10.1.2.3/8", "10.0.0.0/8"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ] {
            assert_eq!(parse(text), Some(net.parse().unwrap()), "{text}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "localhost", "fe80::1%eth0", "010.0.0.1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_mapped_address_is_its_ipv4_address() {
        let nets = [parse("10.0.0.0/8").unwrap()];
        assert!(any_contains(&nets, "::ffff:10.9.9.9".parse().unwrap()));
        assert!(!any_contains(&nets, "::10.9.9.9".parse().unwrap()));
    }
}
