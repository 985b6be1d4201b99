//! What goes wrong, chosen at random from a seed.

use std::fmt;
use std::time::Duration;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;

/// The lease of the service under test.
pub const LEASE: Duration = Duration::from_secs(3);
/// How long a fault lasts that is shorter than a lease, and one that is longer.
pub const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(4);

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A worker dies without a word.
    KillWorker,
    /// A worker stands still.
    FreezeWorker(Duration),
    /// An API node dies in the middle of requests.
    KillApi,
    /// Redis dies and comes back with its data.
    RestartRedis,
    /// Redis stands still.
    FreezeRedis(Duration),
    /// The replica stands still: what is submitted is kept, but not confirmed.
    FreezeReplica,
    /// A replica that has missed the last moment becomes the master.
    FailOver,
    /// Every subscription to changes is cut.
    CutSubscriptions,
    /// Nothing passes between a worker and Redis.
    PartWorker(Duration),
    /// Nothing passes between an API node and Redis.
    PartApi(Duration),
    /// The storage answers 500.
    FailStorage,
    /// The storage does not accept connections.
    StopStorage,
    /// The storage takes 200 ms for every piece.
    SlowStorage,
    /// Connections to the storage break off in the middle of an object.
    HalveWrites,
    /// A worker's disk is full.
    FillWorker,
    /// The disk of an API node is full.
    FillApi,
}

/// All of them. A run begins with these, one after the other.
pub const ALL: [Fault; 19] = [
    Fault::KillWorker,
    Fault::FailStorage,
    Fault::RestartRedis,
    Fault::HalveWrites,
    Fault::FailOver,
    Fault::FreezeRedis(SHORT),
    Fault::KillApi,
    Fault::PartWorker(LONG),
    Fault::FillApi,
    Fault::FreezeWorker(LONG),
    Fault::CutSubscriptions,
    Fault::FreezeReplica,
    Fault::PartApi(SHORT),
    Fault::FreezeRedis(LONG),
    Fault::StopStorage,
    Fault::FreezeWorker(SHORT),
    Fault::SlowStorage,
    Fault::FillWorker,
    Fault::PartWorker(SHORT),
];

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Fault {
    /// Whether an attempt may be lost by it.
    pub fn costs_attempts(self) -> bool {
        matches!(
            self,
            Fault::KillWorker
                | Fault::FreezeWorker(_)
                | Fault::RestartRedis
                | Fault::FreezeRedis(_)
                | Fault::FailOver
                | Fault::PartWorker(_)
        )
    }

    /// How long it goes on. A kill and a cut are over at once, and so is a failover when it is done.
    pub fn lasts(self) -> Duration {
        match self {
            Fault::KillWorker | Fault::KillApi | Fault::RestartRedis | Fault::FailOver | Fault::CutSubscriptions => {
                Duration::ZERO
            }
            Fault::FreezeWorker(time) | Fault::FreezeRedis(time) | Fault::PartWorker(time) | Fault::PartApi(time) => {
                time
            }
            Fault::FreezeReplica
            | Fault::FailStorage
            | Fault::StopStorage
            | Fault::SlowStorage
            | Fault::HalveWrites
            | Fault::FillWorker
            | Fault::FillApi => SHORT * 2,
        }
    }
}

/// The faults of a run, without end.
pub fn sequence(kinds: &[Fault], mut rng: SmallRng) -> impl Iterator<Item = Fault> {
    let first = kinds.to_vec();
    let kinds = kinds.to_vec();
    first.into_iter().chain(std::iter::from_fn(move || kinds.choose(&mut rng).copied()))
}
