//! How many attempts are in flight to one network, and of one client. A machine may have any number of names, and so may whoever owns a
//! network; and a client may name any number of receivers.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;
use remaster_shared::client::ClientKey;

/// The largest number of attempts in flight to one network.
const MAX_PER_NETWORK: usize = 16;
/// The largest number of attempts in flight for jobs of one client.
const MAX_PER_CLIENT: usize = 64;
/// The prefixes of networks that somebody has as a whole, in bits.
const IPV4_PREFIX: u8 = 24;
const IPV6_PREFIX: u8 = 48;

/// Who has so many places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Holder {
    Network(IpNet),
    Client(ClientKey),
}

impl Holder {
    fn places(self) -> usize {
        match self {
            Holder::Network(_) => MAX_PER_NETWORK,
            Holder::Client(_) => MAX_PER_CLIENT,
        }
    }
}

/// The places of all networks and clients.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<Holder, usize>>>);

/// A place of the client, and in each network that a name resolves to. It is given back when this is dropped.
pub(super) struct Place {
    all: Places,
    holders: Vec<Holder>,
}

impl Places {
    /// A place of the client and in the network of each address, or none where one of them has no more.
    pub(super) fn take(&self, addresses: &[IpAddr], client: Option<ClientKey>) -> Option<Place> {
        let networks = addresses.iter().map(|address| Holder::Network(network(*address)));
        let mut holders: Vec<Holder> = networks.chain(client.map(Holder::Client)).collect();
        holders.sort_unstable();
        holders.dedup();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if holders.iter().any(|holder| taken.get(holder).is_some_and(|count| *count >= holder.places())) {
            return None;
        }
        for holder in &holders {
            *taken.entry(*holder).or_default() += 1;
        }
        Some(Place { all: self.clone(), holders })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        for holder in &self.holders {
            if let Some(count) = taken.get_mut(holder) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(holder);
                }
            }
        }
    }
}

fn network(address: IpAddr) -> IpNet {
    let address = address.to_canonical();
    let prefix = if address.is_ipv4() { IPV4_PREFIX } else { IPV6_PREFIX };
    IpNet::new(address, prefix).map_or(address.into(), |network| network.trunc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(text: &str) -> Vec<IpAddr> {
        text.split_whitespace().map(|address| address.parse().unwrap()).collect()
    }

    #[test]
    fn a_network_is_full_after_so_many_whatever_its_addresses_are() {
        let places = Places::default();
        let take = |text: &str| places.take(&addresses(text), None);
        let mut held: Vec<_> = (0..MAX_PER_NETWORK).map(|n| take(&format!("203.0.113.{n}")).unwrap()).collect();
        assert!(take("203.0.113.200").is_none());
        assert!(take("::ffff:203.0.113.7").is_none());
        // A name that also has another address is not sent to either.
        assert!(take("198.51.100.1 203.0.113.7").is_none());
        assert!(take("198.51.100.1").is_some());
        held.pop();
        let last = take("203.0.113.200 203.0.113.201").unwrap();
        assert!(take("203.0.113.1").is_none());
        drop((held, last));
        assert!(places.0.lock().unwrap().is_empty());
    }

    #[test]
    fn a_client_has_so_many_whoever_the_receivers_are() {
        let (places, one, other) = (Places::default(), ClientKey([1; 16]), ClientKey([2; 16]));
        let take = |client, n: usize| places.take(&addresses(&format!("198.51.{n}.1")), Some(client));
        let held: Vec<_> = (0..MAX_PER_CLIENT).map(|n| take(one, n).unwrap()).collect();
        assert!(take(one, 200).is_none() && take(other, 200).is_some());
        drop(held);
        assert!(take(one, 200).is_some());
    }

    #[test]
    fn an_ipv6_site_is_one_network() {
        assert_eq!(network("2001:db8:1:2::3".parse().unwrap()), "2001:db8:1::/48".parse().unwrap());
    }
}
