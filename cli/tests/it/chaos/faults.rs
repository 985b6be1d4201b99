//! What goes wrong, chosen at random from a seed.

use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use remaster_testkit::{RedisServer, S3Server};
use tokio::task::block_in_place;

use super::attempts::{Begun, Blow};
use super::link::Traffic;
use super::nodes::Node;

/// The lease of the service under test.
pub const LEASE: Duration = Duration::from_secs(3);
/// How long a fault lasts that is shorter than a lease, and one that is longer.
const SHORT: Duration = Duration::from_secs(1);
const LONG: Duration = Duration::from_secs(4);
/// How many seconds the clocks of nodes are ahead, one after the other.
const AHEAD: [i32; 3] = [60, 0, -60];
const WORKERS: usize = 3;

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

    /// Whether one worker suffers it, and not all.
    fn is_of_a_worker(self) -> bool {
        matches!(self, Fault::KillWorker | Fault::FreezeWorker(_) | Fault::PartWorker(_))
    }
}

/// The service, and what it stands on.
pub struct Site {
    pub redis: RedisServer,
    replica: RedisServer,
    pub s3: S3Server,
    pub apis: Vec<Node>,
    pub workers: Vec<Node>,
    /// The faults so far that may have cost attempts.
    pub blows: Vec<Blow>,
    /// When replicas took over so far.
    pub failovers: Vec<Blow>,
}

impl Site {
    /// Starts everything, with files in `folder`.
    pub fn start(folder: &Path) -> Self {
        let (redis, replica, s3) = (RedisServer::start(), RedisServer::start(), S3Server::start());
        replica.follow(&redis);
        let node = |role, number: usize| Node::start(role, (&redis, &s3), folder, AHEAD[number % AHEAD.len()]);
        let apis = (0..2).map(|number| node("api", number)).collect();
        let workers = (0..WORKERS).map(|number| node("worker", number + 1)).collect();
        Self { redis, replica, s3, apis, workers, blows: Vec::new(), failovers: Vec::new() }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.apis.iter().chain(&self.workers)
    }

    /// Lets it happen, and ends it if it is one that ends.
    pub async fn suffer(&mut self, fault: Fault, rng: &mut SmallRng) {
        let (worker, api) = (rng.random_range(0..self.workers.len()), rng.random_range(0..self.apis.len()));
        let from = Instant::now();
        self.befall(fault, (worker, api), rng).await;
        if fault.costs_attempts() {
            let worker = fault.is_of_a_worker().then_some(worker);
            let blow = Blow { worker, from, to: Instant::now() };
            self.blows.push(blow);
            if fault == Fault::FailOver {
                self.failovers.push(blow);
            }
        }
    }

    /// The attempts that workers have begun.
    pub fn begun(&self) -> Vec<Begun> {
        self.workers.iter().enumerate().flat_map(|(number, worker)| worker.begun(number)).collect()
    }

    /// Whatever waits for a process blocks its thread, and with it the task that this thread would have run next: that may be a link
    /// to the very process. Hence `block_in_place`.
    async fn befall(&mut self, fault: Fault, (worker, api): (usize, usize), rng: &mut SmallRng) {
        match fault {
            Fault::KillWorker => block_in_place(|| self.workers[worker].restart()),
            Fault::KillApi => block_in_place(|| self.apis[api].restart()),
            Fault::FreezeWorker(time) => {
                self.workers[worker].server.signal("STOP");
                tokio::time::sleep(time).await;
                self.workers[worker].server.signal("CONT");
            }
            Fault::RestartRedis => block_in_place(|| self.redis.restart()),
            Fault::FreezeRedis(time) => {
                self.redis.freeze();
                tokio::time::sleep(time).await;
                self.redis.thaw();
            }
            Fault::FreezeReplica => {
                block_in_place(|| self.replica.catch_up_with(&self.redis));
                self.replica.freeze();
                tokio::time::sleep(SHORT * 2).await;
                self.replica.thaw();
            }
            Fault::FailOver => self.fail_over().await,
            Fault::CutSubscriptions => {
                block_in_place(|| self.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]));
            }
            Fault::PartWorker(time) => part(&self.workers[worker], time).await,
            Fault::PartApi(time) => part(&self.apis[api], time).await,
            Fault::FailStorage => {
                self.s3.set_failing(true);
                tokio::time::sleep(SHORT * 2).await;
                self.s3.set_failing(false);
            }
            Fault::StopStorage => self.storage(Traffic::IsRefused).await,
            Fault::SlowStorage => self.storage(Traffic::IsSlow(SHORT / 5)).await,
            Fault::HalveWrites => self.storage(Traffic::BreaksOffAfter(rng.random_range(1..1500))).await,
            Fault::FillWorker => fill(&self.workers[worker]).await,
            Fault::FillApi => fill(&self.apis[api]).await,
        }
    }

    async fn storage(&self, traffic: Traffic) {
        self.nodes().for_each(|node| node.storage.set(traffic));
        tokio::time::sleep(SHORT * 2).await;
        self.nodes().for_each(|node| node.storage.set(Traffic::Flows));
    }

    /// The replica is cut off, the master goes on for a moment, and then the replica takes its place. What happened in that moment is
    /// lost, except for submits that were acknowledged: that waits for a replica. An end that is lost is taken back, and comes again.
    async fn fail_over(&mut self) {
        block_in_place(|| {
            self.replica.catch_up_with(&self.redis);
            self.replica.promote();
        });
        tokio::time::sleep(SHORT / 3).await;
        self.nodes().for_each(|node| node.redis.lead_to(self.replica.address()));
        block_in_place(|| {
            let new = RedisServer::start();
            self.redis = std::mem::replace(&mut self.replica, new);
            // What else goes wrong does not wait for the copy.
            self.replica.begin_to_follow(&self.redis);
        });
    }
}

async fn part(node: &Node, time: Duration) {
    node.redis.set(Traffic::Halts);
    tokio::time::sleep(time).await;
    node.redis.set(Traffic::Flows);
}

async fn fill(node: &Node) {
    node.set_disk_full(true);
    tokio::time::sleep(SHORT * 2).await;
    node.set_disk_full(false);
}

/// The faults of a run, without end.
pub fn sequence(kinds: &[Fault], mut rng: SmallRng) -> impl Iterator<Item = Fault> {
    let first = kinds.to_vec();
    let kinds = kinds.to_vec();
    first.into_iter().chain(std::iter::from_fn(move || kinds.choose(&mut rng).copied()))
}
