//! The larger networks of IPv6 callers. A client is a /64, but whoever has a /48, as every site can, has 65,536 of them.
//!
//! Each node counts for itself and forgets with its process: this bounds what one network takes, and is not anybody's bill.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use remaster_shared::client::ClientKey;
use remaster_shared::quota::UtcDay;

use super::client::Client;

/// How many daily quotas a /56 has together, and how many a /48.
pub const SHARES: [u64; 2] = [4, 16];
/// The lengths of these networks' prefixes.
const PREFIXES: [u8; 2] = [56, 48];
/// How many networks are remembered. Of more, those that come seldom are forgotten.
const REMEMBERED: u64 = 100_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// How many images each larger network has submitted today, through this node.
pub struct Networks(Cache<(UtcDay, ClientKey), Arc<AtomicU64>>);

/// A network that has used up what it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// The length of its prefix.
    pub prefix: u8,
    /// Images that it may submit per UTC day.
    pub limit: u64,
}

impl Default for Networks {
    fn default() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_live(DAY).build())
    }
}

impl Networks {
    /// Whether the networks of the client may submit more, where each client has `daily_limit` images a day.
    ///
    /// # Errors
    /// One of them has used up its share.
    pub fn check(&self, client: Client, day: UtcDay, daily_limit: u64) -> Result<(), UsedUp> {
        for ((network, share), prefix) in client.networks.iter().flatten().zip(SHARES).zip(PREFIXES) {
            let limit = daily_limit.saturating_mul(share);
            if self.0.get(&(day, *network)).is_some_and(|used| used.load(Ordering::Relaxed) >= limit) {
                return Err(UsedUp { prefix, limit });
            }
        }
        Ok(())
    }

    /// Counts images that the client has submitted.
    pub fn charge(&self, client: Client, day: UtcDay, images: u64) {
        for network in client.networks.iter().flatten() {
            self.0.get_with((day, *network), Arc::default).fetch_add(images, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use remaster_shared::client::ClientHasher;

    use super::*;

    fn client(address: &str) -> Client {
        Client::at(&ClientHasher::new([7; 32]), address.parse().unwrap())
    }

    #[test]
    fn a_network_has_so_many_quotas_however_many_clients_it_has() {
        let (networks, day) = (Networks::default(), UtcDay(1));
        let check = |address: &str| networks.check(client(address), day, 10);
        for host in 0..4 {
            let address = format!("2001:db8:1:a{host:02x}::1");
            assert_eq!(check(&address), Ok(()));
            networks.charge(client(&address), day, 10);
        }
        assert_eq!(check("2001:db8:1:aff::1"), Err(UsedUp { prefix: 56, limit: 40 }));
        assert_eq!(check("2001:db8:1:b00::1"), Ok(()));
        for net in 0..12 {
            networks.charge(client(&format!("2001:db8:1:{net:x}00::1")), day, 10);
        }
        assert_eq!(check("2001:db8:1:f00::1"), Err(UsedUp { prefix: 48, limit: 160 }));
        assert_eq!(check("2001:db8:2:f00::1"), Ok(()));
        assert_eq!(networks.check(client("2001:db8:1:f00::1"), UtcDay(2), 10), Ok(()));
        // IPv4 has no such networks.
        networks.charge(client("192.0.2.1"), day, 1000);
        assert_eq!(check("192.0.2.1"), Ok(()));
    }
}
