//! What goes wrong, chosen at random from a seed.

use std::fmt;
use std::time::Duration;

use rand::RngExt;
use rand::rngs::SmallRng;
use remaster_testkit::RedisServer;

use crate::harness::Server;

/// The lease of the service under test.
pub const LEASE: Duration = Duration::from_secs(3);

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A worker dies without a word.
    KillWorker,
    /// A worker stands still, for less or for more than its lease.
    FreezeWorker(Duration),
    /// An API node dies in the middle of requests.
    KillApi,
    /// Redis dies and comes back with its data.
    RestartRedis,
    /// Redis stands still, for less or for more than a lease.
    FreezeRedis(Duration),
    /// Every subscription to changes is cut.
    CutSubscriptions,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Fault {
    /// Any fault; those come first that have to happen in every run.
    pub fn next(number: usize, rng: &mut SmallRng) -> Self {
        let (short, long) = (LEASE / 3, LEASE * 4 / 3);
        let all = [
            Fault::KillWorker,
            Fault::RestartRedis,
            Fault::FreezeRedis(short),
            Fault::KillApi,
            Fault::FreezeWorker(long),
            Fault::CutSubscriptions,
            Fault::FreezeRedis(long),
            Fault::FreezeWorker(short),
        ];
        all[if number < all.len() { number } else { rng.random_range(0..all.len()) }]
    }

    /// Whether an attempt may be lost by it.
    pub fn costs_attempts(self) -> bool {
        !matches!(self, Fault::KillApi | Fault::CutSubscriptions)
    }
}

/// The processes of the service.
pub struct Site<'a> {
    pub redis: RedisServer,
    pub apis: Vec<Server>,
    pub workers: Vec<Server>,
    /// Starts a node of a role, an API at an address that it had before.
    pub start: &'a (dyn Fn(&str, Option<&str>) -> Server + Sync),
}

impl Site<'_> {
    /// Lets it happen, and ends it if it is one that ends.
    pub async fn suffer(&mut self, fault: Fault, rng: &mut SmallRng) {
        let worker = rng.random_range(0..self.workers.len());
        match fault {
            Fault::KillWorker => {
                self.workers[worker].signal("KILL");
                self.workers[worker] = (self.start)("worker", None);
            }
            Fault::FreezeWorker(time) => {
                self.workers[worker].signal("STOP");
                tokio::time::sleep(time).await;
                self.workers[worker].signal("CONT");
            }
            Fault::KillApi => {
                let api = rng.random_range(0..self.apis.len());
                let address = self.apis[api].base.trim_start_matches("http://").to_owned();
                self.apis[api].signal("KILL");
                self.apis[api].child.wait().unwrap();
                self.apis[api] = (self.start)("api", Some(&address));
            }
            Fault::RestartRedis => self.redis.restart(),
            Fault::FreezeRedis(time) => {
                self.redis.freeze();
                tokio::time::sleep(time).await;
                self.redis.thaw();
            }
            Fault::CutSubscriptions => drop(self.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"])),
        }
    }
}
