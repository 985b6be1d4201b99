//! The client that is charged: a keyed hash of the caller's network address, never the address itself.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// The key under which a client's quota is counted: the first 16 bytes of HMAC-SHA256 ([RFC 2104]) over the client's
/// canonical address. It is safe to store and to log.
///
/// [RFC 2104]: https://www.rfc-editor.org/rfc/rfc2104
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientKey(pub [u8; 16]);

impl ClientKey {
    /// The virtual shard of the client: everything of one client is kept together.
    pub fn shard(self) -> u16 {
        u16::from_be_bytes([self.0[0], self.0[1]])
    }
}

impl std::fmt::Display for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl std::str::FromStr for ClientKey {
    type Err = hex::FromHexError;

    fn from_str(text: &str) -> Result<Self, hex::FromHexError> {
        let mut key = [0; 16];
        hex::decode_to_slice(text, &mut key).map(|()| Self(key))
    }
}

impl std::fmt::Debug for ClientKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ClientKey({self})")
    }
}

/// The secret under which addresses are hashed. Each store has one, so every node computes the same key for a client. The
/// default webhook signing key is derived from the same secret.
#[derive(Clone)]
pub struct ClientHasher([u8; 32]);

impl ClientHasher {
    /// A hasher with the store's secret.
    pub fn new(secret: [u8; 32]) -> Self {
        Self(secret)
    }

    /// The key of the client that calls from `address`.
    pub fn key(&self, address: IpAddr) -> ClientKey {
        match canonical(address) {
            IpAddr::V4(v4) => self.short(&v4.octets()),
            IpAddr::V6(v6) => self.short(&v6.octets()),
        }
    }

    fn short(&self, text: &[u8]) -> ClientKey {
        let mut key = [0; 16];
        key.copy_from_slice(&self.digest(text)[..16]);
        ClientKey(key)
    }

    /// The keys of the /56 and of the /48 that an IPv6 address belongs to. IPv4 has none.
    pub fn networks(&self, address: IpAddr) -> Option<[ClientKey; 2]> {
        let IpAddr::V6(v6) = canonical(address) else { return None };
        let key = |prefix: u8| {
            let bits = u128::from(v6) & (u128::MAX << (128 - prefix));
            // The length of the prefix makes the text longer than that of a client.
            self.short(&[&bits.to_be_bytes()[..], &[prefix]].concat())
        };
        Some([key(56), key(48)])
    }

    /// The name of the job store that has this secret, the same to all its nodes.
    pub fn store_name(&self) -> String {
        self.key(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_string()
    }

    /// The seed of the ed25519 key that signs webhooks if none is configured. The label under which it is derived is longer
    /// than any address, so it never coincides with the hash of a client.
    pub fn signing_seed(&self) -> [u8; 32] {
        self.digest(b"webhook signing key, ed25519")
    }

    fn digest(&self, text: &[u8]) -> [u8; 32] {
        // HMAC accepts a key of any length, so the fallback is never used.
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).unwrap_or_else(|_| Hmac::new(&Default::default()));
        mac.update(text);
        mac.finalize().into_bytes().into()
    }
}

/// The address by which a client is counted. An IPv4-mapped IPv6 address becomes the IPv4 address; of any other IPv6
/// address the first 64 bits remain, because one subscriber usually holds a whole /64.
pub fn canonical(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_one_subscriber_have_one_key() {
        let hasher = ClientHasher::new([7; 32]);
        let key = |text: &str| hasher.key(text.parse().unwrap());
        assert_eq!(key("192.0.2.7"), key("::ffff:192.0.2.7"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_ne!(key("192.0.2.7"), key("192.0.2.8"));
        assert_ne!(key("192.0.2.7"), ClientHasher::new([8; 32]).key("192.0.2.7".parse().unwrap()));
    }
}
