//! How many attempts are in flight to one network. A machine may have any number of names, and so may whoever owns a network.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use ipnet::IpNet;

/// The largest number of attempts in flight to one network.
const MAX_PER_NETWORK: usize = 16;
/// The prefixes of networks that somebody has as a whole, in bits.
const IPV4_PREFIX: u8 = 24;
const IPV6_PREFIX: u8 = 48;

/// The places of all networks.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<IpNet, usize>>>);

/// A place in each network that a name resolves to. It is given back when this is dropped.
pub(super) struct Place {
    all: Places,
    networks: Vec<IpNet>,
}

impl Places {
    /// A place in the network of each address, or none where one of them is full.
    pub(super) fn take(&self, addresses: &[IpAddr]) -> Option<Place> {
        let mut networks: Vec<IpNet> = addresses.iter().map(|address| network(*address)).collect();
        networks.sort_unstable();
        networks.dedup();
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if networks.iter().any(|network| taken.get(network).is_some_and(|count| *count >= MAX_PER_NETWORK)) {
            return None;
        }
        for network in &networks {
            *taken.entry(*network).or_default() += 1;
        }
        Some(Place { all: self.clone(), networks })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        for network in &self.networks {
            if let Some(count) = taken.get_mut(network) {
                *count -= 1;
                if *count == 0 {
                    taken.remove(network);
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
        let mut held: Vec<_> =
            (0..MAX_PER_NETWORK).map(|n| places.take(&addresses(&format!("203.0.113.{n}"))).unwrap()).collect();
        assert!(places.take(&addresses("203.0.113.200")).is_none());
        assert!(places.take(&addresses("::ffff:203.0.113.7")).is_none());
        // A name that also has another address is not sent to either.
        assert!(places.take(&addresses("198.51.100.1 203.0.113.7")).is_none());
        assert!(places.take(&addresses("198.51.100.1")).is_some());
        held.pop();
        let last = places.take(&addresses("203.0.113.200 203.0.113.201")).unwrap();
        assert!(places.take(&addresses("203.0.113.1")).is_none());
        drop((held, last));
        assert!(places.0.lock().unwrap().is_empty());
    }

    #[test]
    fn an_ipv6_site_is_one_network() {
        assert_eq!(network("2001:db8:1:2::3".parse().unwrap()), "2001:db8:1::/48".parse().unwrap());
    }
}
