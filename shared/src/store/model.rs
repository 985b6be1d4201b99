//! The rules of the queue once more, as plainly as they can be written, in memory: random interleavings of the verbs
//! must end the same on a real store.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use super::contract::{client, new_job, result, start};
use super::*;
use crate::clock::ManualClock;
use crate::error::ErrorCode;
use crate::quota::UtcDay;

const STEPS: usize = 1200;
const CLIENTS: u8 = 4;

struct ModelJob {
    client: ClientKey,
    day: UtcDay,
    seq: usize,
    cost: f64,
    status: Status,
    attempt: u32,
    token: u64,
    lease_until: Timestamp,
    /// A retry is due no earlier and no later than this.
    due: Option<(Timestamp, Timestamp)>,
    charged: bool,
    started: bool,
    cancel: bool,
    expires: Timestamp,
}

/// What a claim may give.
#[derive(Debug, PartialEq)]
enum Turn {
    Nothing,
    /// The oldest job of one of the clients whose turn it may be.
    OneOf(Vec<JobId>),
}

struct Model {
    policy: Policy,
    now: Timestamp,
    jobs: BTreeMap<JobId, ModelJob>,
    used: HashMap<(UtcDay, ClientKey), u64>,
    virtual_now: f64,
    /// A client's virtual start, kept while it is idle.
    starts: HashMap<ClientKey, f64>,
}

impl Model {
    fn count(&self, status: Status) -> u64 {
        self.jobs.values().filter(|job| job.status == status).count() as u64
    }

    /// The client's jobs that can be claimed, oldest first.
    fn line(&self, client: ClientKey) -> Vec<JobId> {
        let ready = |job: &&ModelJob| job.client == client && job.status == Status::Queued && job.due.is_none();
        let mut line: Vec<_> = self.jobs.iter().filter(|(_, job)| ready(job)).map(|(id, job)| (job.seq, *id)).collect();
        line.sort();
        line.into_iter().map(|(_, id)| id).collect()
    }

    /// A client without a line starts now, or where its last job left it.
    fn joins(&mut self, client: ClientKey) {
        if self.line(client).is_empty() {
            let start = self.starts.entry(client).or_insert(0.0);
            *start = start.max(self.virtual_now);
        }
    }

    fn submit(&mut self, owner: ClientKey, jobs: &[NewJob]) {
        if self.count(Status::Queued) + self.count(Status::Processing) == 0 {
            self.virtual_now = self.starts.values().fold(self.virtual_now, |latest, start| latest.max(*start));
        }
        *self.used.entry((UtcDay::of(self.now), owner)).or_default() += jobs.len() as u64;
        for job in jobs {
            self.joins(owner);
            let queued = ModelJob {
                client: owner,
                day: UtcDay::of(self.now),
                seq: self.jobs.len(),
                cost: job.cost(),
                status: Status::Queued,
                attempt: 0,
                token: 0,
                lease_until: self.now,
                due: None,
                charged: false,
                started: false,
                cancel: false,
                expires: Timestamp::MAX,
            };
            self.jobs.insert(job.id, queued);
        }
    }

    fn requeue(&mut self, id: JobId) {
        let owner = self.jobs[&id].client;
        self.joins(owner);
        let job = self.jobs.get_mut(&id).unwrap();
        (job.status, job.due) = (Status::Queued, None);
    }

    fn refund(&mut self, id: JobId) {
        let job = &self.jobs[&id];
        *self.used.get_mut(&(job.day, job.client)).unwrap() -= 1;
    }

    /// Leases that ran out, oldest first.
    fn reclaim(&mut self) {
        let lost = |job: &ModelJob| job.status == Status::Processing && job.lease_until <= self.now;
        let mut ids: Vec<_> = self.jobs.iter().filter(|(_, job)| lost(job)).map(|(id, _)| *id).collect();
        ids.sort_by_key(|id| self.jobs[id].lease_until);
        for id in ids {
            let job = self.jobs.get_mut(&id).unwrap();
            if job.cancel {
                job.status = Status::Canceled;
            } else if job.attempt >= self.policy.max_attempts {
                job.status = Status::Failed;
                self.refund(id);
            } else {
                self.requeue(id);
            }
        }
    }

    fn turn(&mut self) -> Turn {
        let due: Vec<_> = self
            .jobs
            .iter()
            .filter(|(_, job)| job.due.is_some_and(|(_, latest)| latest <= self.now))
            .map(|(id, _)| *id)
            .collect();
        for id in due {
            self.requeue(id);
        }
        self.reclaim();
        let lines: Vec<_> = (0..CLIENTS).map(|number| (client(number), self.line(client(number)))).collect();
        let waiting = || lines.iter().filter(|(_, line)| !line.is_empty());
        let Some(first) = waiting().map(|(client, _)| self.starts[client]).min_by(f64::total_cmp) else {
            return Turn::Nothing;
        };
        let next = || waiting().filter(|(client, _)| self.starts[client] == first);
        let shortest = next().map(|(_, line)| line.len()).min().unwrap();
        Turn::OneOf(next().filter(|(_, line)| line.len() == shortest).map(|(_, line)| line[0]).collect())
    }

    fn claimed(&mut self, id: JobId) {
        let lease = self.policy.lease;
        let job = self.jobs.get_mut(&id).unwrap();
        if !job.charged {
            let start = self.starts.get_mut(&job.client).unwrap();
            self.virtual_now = self.virtual_now.max(*start);
            *start += job.cost;
        }
        (job.charged, job.started, job.status) = (true, true, Status::Processing);
        (job.attempt, job.token) = (job.attempt + 1, job.token + 1);
        job.lease_until = self.now + lease;
    }

    fn held(&mut self, lease: &Lease) -> Option<&mut ModelJob> {
        self.jobs.get_mut(&lease.job).filter(|job| job.status == Status::Processing && job.token == lease.token)
    }

    /// Whether the lease still holds.
    fn finish(&mut self, lease: &Lease, outcome: &Outcome) -> bool {
        let (now, policy) = (self.now, self.policy.clone());
        let Some(job) = self.held(lease) else { return false };
        match outcome {
            _ if job.cancel => job.status = Status::Canceled,
            Outcome::Canceled => job.status = Status::Canceled,
            Outcome::Succeeded(_) => (job.status, job.expires) = (Status::Succeeded, now + policy.result_ttl),
            Outcome::Failed(error) if error.is_retryable() && job.attempt < policy.max_attempts => {
                let wait = policy.retry_after * 2_u32.pow(job.attempt - 1);
                job.status = Status::Queued;
                job.due = Some((now + wait.mul_f64(0.75), now + wait.mul_f64(1.25)));
            }
            Outcome::Failed(error) => {
                job.status = Status::Failed;
                if error.code.fault() == crate::error::Fault::Service {
                    self.refund(lease.job);
                }
            }
        }
        true
    }

    fn release(&mut self, lease: &Lease) -> bool {
        let Some(job) = self.held(lease) else { return false };
        if job.cancel {
            job.status = Status::Canceled;
            return true;
        }
        job.attempt -= 1;
        job.started = job.attempt > 0;
        self.requeue(lease.job);
        true
    }

    /// Whether there was something to cancel.
    fn cancel(&mut self, id: JobId) -> bool {
        let job = self.jobs.get_mut(&id).unwrap();
        match job.status {
            Status::Queued => {
                (job.status, job.due) = (Status::Canceled, None);
                if !job.started {
                    self.refund(id);
                }
                true
            }
            Status::Processing => {
                job.cancel = true;
                true
            }
            _ => false,
        }
    }

    fn reap(&mut self) {
        self.reclaim();
        for job in self.jobs.values_mut() {
            if job.status == Status::Succeeded && job.expires <= self.now {
                job.status = Status::Expired;
            }
        }
    }

    /// Moves on by `step`, and further until it is certain which retries are due.
    fn advance(&mut self, clock: &ManualClock, step: Duration) {
        let mut wait = step;
        loop {
            clock.advance(wait);
            self.now += SignedDuration::try_from(wait).unwrap();
            let unsure = |job: &&ModelJob| job.due.is_some_and(|(early, late)| early <= self.now && self.now < late);
            if !self.jobs.values().any(|job| unsure(&job)) {
                return;
            }
            wait = Duration::from_millis(500);
        }
    }
}

/// The same seed, the same interleaving on every store.
pub async fn interleave(store: Arc<dyn Store>, clock: Arc<ManualClock>, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut model = Model {
        policy: Policy::default(),
        now: start(),
        jobs: BTreeMap::new(),
        used: HashMap::new(),
        virtual_now: 0.0,
        starts: HashMap::new(),
    };
    let mut leases: Vec<Lease> = Vec::new();
    for step in 0..STEPS {
        let at = format!("seed {seed}, step {step}");
        match rng.random_range(0..100) {
            0..22 => {
                let owner = client(rng.random_range(0..CLIENTS));
                let jobs: Vec<_> = (0..rng.random_range(1..4)).map(|_| sized(&mut rng)).collect();
                model.submit(owner, &jobs);
                store.submit(NewJobs::new(owner, jobs)).await.unwrap();
            }
            22..52 => match (model.turn(), store.claim("w").await.unwrap()) {
                (Turn::Nothing, Claim::Nothing { .. }) => {}
                (Turn::OneOf(jobs), Claim::Job(job, lease)) if jobs.contains(&job.id) => {
                    model.claimed(job.id);
                    let expected = &model.jobs[&job.id];
                    assert_eq!((lease.attempt, lease.token), (expected.attempt, expected.token), "{at}");
                    leases.push(lease);
                }
                (expected, got) => panic!("{at}: {got:?} instead of {expected:?}"),
            },
            52..70 => {
                if let Some(lease) = leases.choose(&mut rng) {
                    let outcome = [
                        Outcome::Succeeded(result()),
                        Outcome::Canceled,
                        Outcome::Failed(JobError::internal()),
                        Outcome::Failed(JobError::new(ErrorCode::ImageCorrupt, "cut short")),
                    ][rng.random_range(0..4)]
                    .clone();
                    let done = store.finish(lease, outcome.clone()).await;
                    assert_eq!(done.is_ok(), model.finish(lease, &outcome), "{at}: {outcome:?} {done:?}");
                }
            }
            70..76 => {
                if let Some(lease) = leases.choose(&mut rng) {
                    assert_eq!(store.release(lease).await.is_ok(), model.release(lease), "{at}");
                }
            }
            76..82 => {
                if let Some(lease) = leases.choose(&mut rng) {
                    let (now, time) = (model.now, model.policy.lease);
                    let beat = store.heartbeat(lease).await.ok();
                    let expected = model.held(lease).map(|job| {
                        job.lease_until = now + time;
                        if job.cancel { Beat::Cancel } else { Beat::GoOn }
                    });
                    assert_eq!(beat, expected, "{at}");
                }
            }
            82..88 => {
                let ids: Vec<_> = model.jobs.keys().copied().collect();
                if let Some(id) = ids.choose(&mut rng) {
                    assert_eq!(store.cancel(*id).await.is_ok(), model.cancel(*id), "{at}");
                }
            }
            88..97 => model.advance(&clock, Duration::from_millis(rng.random_range(1..12_000))),
            97..98 => model.advance(&clock, Duration::from_secs(13 * 3600)),
            _ => {
                model.reap();
                store.reap().await.unwrap();
            }
        }
        if step % 50 == 0 || step == STEPS - 1 {
            compare(&*store, &model, &at).await;
        }
    }
}

async fn compare(store: &dyn Store, model: &Model, at: &str) {
    for (id, expected) in &model.jobs {
        let job = store.get(*id).await.unwrap().unwrap_or_else(|| panic!("{at}: {id} is gone"));
        let got = (job.status, job.attempt, job.started_at.is_some());
        assert_eq!(got, (expected.status, expected.attempt, expected.started), "{at}: {id}");
    }
    for number in 0..CLIENTS {
        let used = model.used.get(&(UtcDay::of(model.now), client(number))).copied().unwrap_or(0);
        assert_eq!(store.quota(client(number)).await.unwrap().used, used, "{at}: client {number}");
    }
    let stats = store.stats().await.unwrap();
    let expected = (model.count(Status::Queued), model.count(Status::Processing));
    assert_eq!((stats.queued, stats.processing), expected, "{at}");
}

fn sized(rng: &mut SmallRng) -> NewJob {
    let mut job = new_job();
    (job.input.width, job.input.height) = (rng.random_range(1..3000), rng.random_range(1..3000));
    job
}
