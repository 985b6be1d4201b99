//! The service under test, what it stands on, and what it suffers. Faults overlap, except those of the same part.

use std::path::Path;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::SmallRng;
use remaster_testkit::{RedisServer, S3Server};
use tokio::task::block_in_place;

use super::attempts::{Begun, Blow};
use super::faults::{Fault, SHORT};
use super::link::Traffic;
use super::nodes::Node;

/// How many seconds the clocks of nodes are ahead, one after the other.
const AHEAD: [i32; 3] = [60, 0, -60];
const WORKERS: usize = 3;

/// What a fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    /// Redis and its replica.
    Redis,
    Storage,
    Worker(usize),
    Api(usize),
}

/// A fault that goes on.
#[derive(Debug, Clone, Copy)]
struct Ongoing {
    fault: Fault,
    part: Part,
    from: Instant,
}

impl Ongoing {
    fn until(&self) -> Instant {
        self.from + self.fault.lasts()
    }
}

/// The service, and what it stands on.
pub struct Site {
    pub redis: RedisServer,
    replica: RedisServer,
    pub s3: S3Server,
    pub apis: Vec<Node>,
    pub workers: Vec<Node>,
    ongoing: Vec<Ongoing>,
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
        let (ongoing, blows, failovers) = (Vec::new(), Vec::new(), Vec::new());
        Self { redis, replica, s3, apis, workers, ongoing, blows, failovers }
    }

    fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.apis.iter().chain(&self.workers)
    }

    /// The attempts that workers have begun.
    pub fn begun(&self) -> Vec<Begun> {
        self.workers.iter().enumerate().flat_map(|(number, worker)| worker.begun(number)).collect()
    }

    /// Lets it happen, as soon as nothing goes on that it has to wait for. It ends when time passes.
    pub async fn suffer(&mut self, fault: Fault, rng: &mut SmallRng) {
        let (worker, api) = (rng.random_range(0..self.workers.len()), rng.random_range(0..self.apis.len()));
        let part = match fault {
            Fault::KillWorker | Fault::FreezeWorker(_) | Fault::PartWorker(_) | Fault::FillWorker => {
                Part::Worker(worker)
            }
            Fault::KillApi | Fault::PartApi(_) | Fault::FillApi => Part::Api(api),
            Fault::FailStorage | Fault::StopStorage | Fault::SlowStorage | Fault::HalveWrites => Part::Storage,
            _ => Part::Redis,
        };
        // The test waits for a node that starts, and a node waits for what it stands on.
        let starts_a_node = matches!(fault, Fault::KillWorker | Fault::KillApi);
        let is_waited_for =
            |other: &Ongoing| other.part == part || starts_a_node && matches!(other.part, Part::Redis | Part::Storage);
        while let Some(until) = self.ongoing.iter().find(|other| is_waited_for(other)).map(Ongoing::until) {
            self.pass(until).await;
        }
        let begun = Ongoing { fault, part, from: Instant::now() };
        self.begin(begun, rng).await;
        match fault.lasts() {
            Duration::ZERO => self.record(begun),
            _ => self.ongoing.push(begun),
        }
    }

    /// Lets time pass, in which faults end.
    pub async fn pass(&mut self, until: Instant) {
        while let Some(first) = (0..self.ongoing.len()).min_by_key(|number| self.ongoing[*number].until())
            && self.ongoing[first].until() <= until
        {
            let over = self.ongoing.swap_remove(first);
            tokio::time::sleep_until(over.until().into()).await;
            self.end(over);
            self.record(over);
        }
        tokio::time::sleep_until(until.into()).await;
    }

    /// Waits for the end of all faults.
    pub async fn recover(&mut self) {
        if let Some(last) = self.ongoing.iter().map(Ongoing::until).max() {
            self.pass(last).await;
        }
    }

    fn record(&mut self, Ongoing { fault, part, from }: Ongoing) {
        if fault.costs_attempts() {
            let worker = if let Part::Worker(worker) = part { Some(worker) } else { None };
            let blow = Blow { worker, from, to: Instant::now() };
            self.blows.push(blow);
            if fault == Fault::FailOver {
                self.failovers.push(blow);
            }
        }
    }

    fn node(&mut self, part: Part) -> &mut Node {
        match part {
            Part::Worker(worker) => &mut self.workers[worker],
            Part::Api(api) => &mut self.apis[api],
            Part::Redis | Part::Storage => unreachable!("{part:?} is no node"),
        }
    }

    /// Whatever waits for a process blocks its thread, and with it the task that this thread would have run next: that may be a link
    /// to the very process. Hence `block_in_place`.
    async fn begin(&mut self, Ongoing { fault, part, .. }: Ongoing, rng: &mut SmallRng) {
        match fault {
            Fault::KillWorker | Fault::KillApi => block_in_place(|| self.node(part).restart()),
            Fault::FreezeWorker(_) => self.node(part).server.signal("STOP"),
            Fault::PartWorker(_) | Fault::PartApi(_) => self.node(part).redis.set(Traffic::Halts),
            Fault::FillWorker | Fault::FillApi => self.node(part).set_disk_full(true),
            Fault::RestartRedis => block_in_place(|| self.redis.restart()),
            Fault::FreezeRedis(_) => self.redis.freeze(),
            Fault::FreezeReplica => {
                block_in_place(|| self.replica.catch_up_with(&self.redis));
                self.replica.freeze();
            }
            Fault::FailOver => self.fail_over().await,
            Fault::CutSubscriptions => {
                block_in_place(|| self.redis.command(&["CLIENT", "KILL", "TYPE", "pubsub"]));
            }
            Fault::FailStorage => self.s3.set_failing(true),
            Fault::StopStorage => self.set_storage(Traffic::IsRefused),
            Fault::SlowStorage => self.set_storage(Traffic::IsSlow(SHORT / 5)),
            Fault::HalveWrites => self.set_storage(Traffic::BreaksOffAfter(rng.random_range(1..1500))),
        }
    }

    fn end(&mut self, Ongoing { fault, part, .. }: Ongoing) {
        match fault {
            Fault::FreezeWorker(_) => self.node(part).server.signal("CONT"),
            Fault::PartWorker(_) | Fault::PartApi(_) => self.node(part).redis.set(Traffic::Flows),
            Fault::FillWorker | Fault::FillApi => self.node(part).set_disk_full(false),
            Fault::FreezeRedis(_) => self.redis.thaw(),
            Fault::FreezeReplica => self.replica.thaw(),
            Fault::FailStorage => self.s3.set_failing(false),
            Fault::StopStorage | Fault::SlowStorage | Fault::HalveWrites => self.set_storage(Traffic::Flows),
            Fault::KillWorker | Fault::KillApi | Fault::RestartRedis | Fault::FailOver | Fault::CutSubscriptions => {}
        }
    }

    fn set_storage(&self, traffic: Traffic) {
        self.nodes().for_each(|node| node.storage.set(traffic));
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
