//! Who the caller is behind reverse proxies: the rightmost address that no trusted proxy vouches for.
//!
//! Headers count only when the socket's peer is trusted, and only as far back as the chain of trusted addresses goes.
//! `Forwarded` goes before `X-Forwarded-For`. A proxy that writes the latter passes on whatever `Forwarded` its caller
//! sent, unless it is told to remove it: that is the operator's to do, and belongs in the page on deployment.

use std::net::IpAddr;

use ipnet::IpNet;

mod forwarded;
#[cfg(test)]
mod tests;

const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1"];
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address, a range such as 10.0.0.0/8, `loopback` nor `private`")]
pub struct ProxiesError(String);

/// The proxies whose word is taken. None by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Reads `TRUSTED_PROXIES`: ranges, addresses, `loopback`, `private`, separated by commas or white space.
impl std::str::FromStr for TrustedProxies {
    type Err = ProxiesError;

    fn from_str(text: &str) -> Result<Self, ProxiesError> {
        let mut nets = Vec::new();
        for word in remaster_shared::ip_ranges::words(text) {
            match word.to_ascii_lowercase().as_str() {
                "loopback" => nets.extend(LOOPBACK.iter().filter_map(|net| remaster_shared::ip_ranges::parse(net))),
                "private" => nets.extend(PRIVATE.iter().filter_map(|net| remaster_shared::ip_ranges::parse(net))),
                other => {
                    nets.push(remaster_shared::ip_ranges::parse(other).ok_or_else(|| ProxiesError(word.to_owned()))?)
                }
            }
        }
        Ok(Self(nets))
    }
}

impl TrustedProxies {
    pub fn trusts(&self, address: IpAddr) -> bool {
        remaster_shared::ip_ranges::any_contains(&self.0, address)
    }

    /// The caller's address, IPv4-mapped IPv6 as IPv4. Each slice holds the lines of that header, in order. Where both headers
    /// are there and disagree, one of them is made up, and the peer is all that is known.
    pub fn client<T: AsRef<str>>(&self, peer: IpAddr, forwarded: &[T], x_forwarded_for: &[T]) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let standard: Vec<_> = forwarded.iter().flat_map(|line| forwarded::hops(line.as_ref())).collect();
        let elements = x_forwarded_for.iter().flat_map(|line| line.as_ref().split(',')).map(str::trim);
        let usual: Vec<_> = elements.filter(|element| !element.is_empty()).map(forwarded::address).collect();
        match (standard.is_empty(), usual.is_empty()) {
            (_, true) => self.rightmost_untrusted(peer, standard),
            (true, false) => self.rightmost_untrusted(peer, usual),
            // A proxy writes one of the two; what it lets through of the other is the caller's own word.
            (false, false) => {
                let (one, other) = (self.rightmost_untrusted(peer, standard), self.rightmost_untrusted(peer, usual));
                if one == other { one } else { peer }
            }
        }
    }

    fn rightmost_untrusted(&self, peer: IpAddr, hops: Vec<Option<IpAddr>>) -> IpAddr {
        let mut last = peer;
        for hop in hops.into_iter().rev() {
            match hop {
                Some(address) if self.trusts(address) => last = address,
                Some(address) => return address,
                // What stands further left was not written by anyone who is known.
                None => return last,
            }
        }
        last
    }
}
