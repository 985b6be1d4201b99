//! The caller's address behind reverse proxies: the rightmost address in the headers that is not a trusted proxy.
//!
//! Headers count only when the peer of the socket is trusted, and only as far to the left as the chain of trusted addresses
//! goes. A proxy writes either `Forwarded` or `X-Forwarded-For` and passes the other on as its caller sent it. Where both are
//! there and disagree, neither is believed.

use std::net::IpAddr;

use ipnet::IpNet;

mod forwarded;
#[cfg(test)]
mod tests;

const LOOPBACK: &[&str] = &["127.0.0.0/8", "::1"];
const PRIVATE: &[&str] = &["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"];

/// A word of `TRUSTED_PROXIES` that is not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an address, a range such as 10.0.0.0/8, `loopback` nor `private`")]
pub struct ProxiesError(String);

/// The proxies whose headers are believed. By default there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Reads the setting `TRUSTED_PROXIES`: ranges, addresses, `loopback` and `private`, separated by commas or white space.
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
    /// Whether the address is a trusted proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        remaster_shared::ip_ranges::any_contains(&self.0, address)
    }

    /// The caller's address; IPv4-mapped IPv6 becomes IPv4. `peer` is the peer of the socket, and each slice has the lines of
    /// that header in order. Where the headers disagree, the answer is `peer`.
    pub fn client<T: AsRef<str>>(&self, peer: IpAddr, forwarded: &[T], x_forwarded_for: &[T]) -> IpAddr {
        let peer = peer.to_canonical();
        if !self.trusts(peer) {
            return peer;
        }
        let standard: Vec<_> = forwarded.iter().flat_map(|line| forwarded::hops(line.as_ref())).collect();
        let elements = x_forwarded_for.iter().flat_map(|line| line.as_ref().split(',')).map(str::trim);
        let conventional: Vec<_> = elements.filter(|element| !element.is_empty()).map(forwarded::address).collect();
        match (standard.is_empty(), conventional.is_empty()) {
            (_, true) => self.rightmost_untrusted(peer, standard),
            (true, false) => self.rightmost_untrusted(peer, conventional),
            // The header that the proxy did not write may be forged by the caller.
            (false, false) => {
                let (one, other) =
                    (self.rightmost_untrusted(peer, standard), self.rightmost_untrusted(peer, conventional));
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
                // A hidden or unreadable address ends the chain: what stands further left cannot be trusted.
                None => return last,
            }
        }
        last
    }
}
