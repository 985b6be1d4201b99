//! The larger networks of IPv6 callers. A client is a /64, but whoever has a /48, as every site can, has 65,536 of them.

use remaster_shared::client::ClientKey;
use remaster_shared::quota::UtcDay;

use super::client::Client;
use super::daily::{Counted, Daily};

/// How many daily quotas a /56 has together, and how many a /48.
const SHARES: [u64; 2] = [4, 16];
/// The lengths of these networks' prefixes.
const PREFIXES: [u8; 2] = [56, 48];

/// How many images each larger network has submitted today, through this node.
pub struct Networks {
    used: Daily<ClientKey>,
    daily_limit: u64,
}

/// A network that has used up what it may.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedUp {
    /// The length of its prefix.
    pub prefix: u8,
    /// Images that it may submit per UTC day.
    pub limit: u64,
}

impl Networks {
    /// Networks of clients that may submit `daily_limit` images a day each.
    pub fn new(daily_limit: u64) -> Self {
        Self { used: Daily::new(), daily_limit }
    }

    /// Counts images that the client is about to submit.
    ///
    /// A client counts towards its networks no more than its own quota: whoever submits and cancels again and again takes nothing from its
    /// neighbours.
    ///
    /// # Errors
    /// One of its networks may not submit so many more. Nothing is counted then.
    pub fn count(&self, client: Client, day: UtcDay, images: u64) -> Result<Counted, UsedUp> {
        let Some(networks) = client.networks else { return Ok(Counted::default()) };
        let mut counted = Counted::default();
        let own = self.used.add(day, client.key, images, &mut counted) - images;
        let images = images.min(self.daily_limit.saturating_sub(own));
        for ((network, share), prefix) in networks.into_iter().zip(SHARES).zip(PREFIXES) {
            let limit = self.daily_limit.saturating_mul(share);
            if self.used.add(day, network, images, &mut counted) > limit {
                return Err(UsedUp { prefix, limit });
            }
        }
        Ok(counted)
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
        let (networks, day) = (Networks::new(10), UtcDay(1));
        let submit = |address: &str| networks.count(client(address), day, 10).map(Counted::keep);
        for host in 0..4 {
            assert_eq!(submit(&format!("2001:db8:1:a{host:02x}::1")), Ok(()));
        }
        assert_eq!(submit("2001:db8:1:aff::1"), Err(UsedUp { prefix: 56, limit: 40 }));
        assert_eq!(submit("2001:db8:1:b00::1"), Ok(()));
        for net in 0..10 {
            assert_eq!(submit(&format!("2001:db8:1:{net:x}01::1")), Ok(()));
        }
        assert_eq!(submit("2001:db8:1:f00::1"), Ok(()));
        assert_eq!(submit("2001:db8:1:f01::1"), Err(UsedUp { prefix: 48, limit: 160 }));
        assert_eq!(submit("2001:db8:2:f00::1"), Ok(()));
        assert!(networks.count(client("2001:db8:1:f01::1"), UtcDay(2), 10).is_ok());
        // IPv4 has no such networks.
        (0..100).for_each(|_| assert_eq!(submit("192.0.2.1"), Ok(())));
    }

    #[test]
    fn what_is_refused_or_submitted_again_and_again_takes_nothing_from_neighbours() {
        let (networks, day) = (Networks::new(10), UtcDay(1));
        for _ in 0..100 {
            // Each of these is canceled, and given back by the store.
            networks.count(client("2001:db8:1:a01::1"), day, 10).unwrap().keep();
            // This one the store refuses.
            drop(networks.count(client("2001:db8:1:a02::1"), day, 10).unwrap());
        }
        assert!(networks.count(client("2001:db8:1:a03::1"), day, 10).is_ok());
    }
}
