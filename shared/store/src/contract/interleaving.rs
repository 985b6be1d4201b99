//! Random interleavings of the verbs: a store must end up where the rules lead.
//!
//! [`Expected`] is the rules ([`crate::rules`]) over plain maps, without a database. Each step calls a verb of the store and
//! tells `Expected` the same event; then both have to agree.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use remaster_shared::client::ClientKey;
use remaster_shared::clock::ManualClock;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{Fence, JobId, Status};
use remaster_shared::quota::UtcDay;

use super::fixtures::{client, new_job_of, request, result, start};
use crate::rules::fairness::{self, Order};
use crate::rules::job::{Change, Event, Hold, INPUT_KEPT, Input, JobState, Line, Output, Refused, decide};
use crate::rules::{lease::was_out_of_reach, price::price, retry};
use crate::{Beat, Claim, Lease, NewJob, NewJobs, Outcome, Policy, Store};

const STEPS: usize = 1200;
const CLIENTS: u8 = 4;
const DEFERRED: Duration = Duration::from_secs(8);

struct ExpectedJob {
    client: ClientKey,
    day: UtcDay,
    seq: usize,
    price: f64,
    state: JobState,
    fence: Option<Fence>,
    lease_until: Timestamp,
    /// A retry is due no earlier and no later than this.
    due: Option<(Timestamp, Timestamp)>,
    expires: Timestamp,
    /// When its input may be deleted.
    input_due: Timestamp,
}

#[derive(Default, Clone, Copy)]
struct ExpectedClient {
    start: f64,
    head_since: u64,
}

struct Expected {
    policy: Policy,
    now: Timestamp,
    jobs: BTreeMap<JobId, ExpectedJob>,
    used: HashMap<(UtcDay, ClientKey), u64>,
    virtual_now: f64,
    claims: u64,
    moments: u64,
    clients: HashMap<ClientKey, ExpectedClient>,
    /// When a worker last called.
    last_call: Option<Timestamp>,
}

impl Expected {
    /// A worker calls.
    fn called(&mut self) {
        let last = self.last_call.replace(self.now);
        if was_out_of_reach(last, self.now, self.policy.lease) {
            let until = self.now + self.policy.lease;
            let running = |job: &&mut ExpectedJob| job.state.status == Status::Processing;
            self.jobs.values_mut().filter(running).for_each(|job| job.lease_until = until);
        }
    }

    fn count(&self, status: Status) -> u64 {
        self.jobs.values().filter(|job| job.state.status == status).count() as u64
    }

    /// The client's jobs that can be claimed, oldest first.
    fn line(&self, client: ClientKey) -> Vec<JobId> {
        let ready =
            |job: &&ExpectedJob| job.client == client && job.state.status == Status::Queued && job.due.is_none();
        let mut line: Vec<_> = self.jobs.iter().filter(|(_, job)| ready(job)).map(|(id, job)| (job.seq, *id)).collect();
        line.sort();
        line.into_iter().map(|(_, id)| id).collect()
    }

    fn waiting(&self) -> Vec<ClientKey> {
        (0..CLIENTS).map(client).filter(|client| !self.line(*client).is_empty()).collect()
    }

    /// Must be called before the job is added to the line.
    fn joins(&mut self, client: ClientKey) {
        if self.line(client).is_empty() {
            self.moments += 1;
            let known = self.clients.entry(client).or_default();
            (self.virtual_now, known.start) = fairness::arrive(self.virtual_now, known.start);
            known.head_since = self.moments;
        }
    }

    fn submit(&mut self, owner: ClientKey, jobs: &[NewJob]) {
        if self.count(Status::Queued) + self.count(Status::Processing) == 0 {
            let latest = self.clients.values().map(|client| client.start).fold(0.0, f64::max);
            self.virtual_now = fairness::settle(self.virtual_now, latest);
        }
        let day = UtcDay::of(self.now);
        *self.used.entry((day, owner)).or_default() += jobs.len() as u64;
        for job in jobs {
            self.joins(owner);
            let queued = ExpectedJob {
                client: owner,
                day,
                seq: self.jobs.len(),
                price: price(job),
                state: JobState::SUBMITTED,
                fence: None,
                lease_until: self.now,
                due: None,
                expires: Timestamp::MAX,
                input_due: Timestamp::MAX,
            };
            self.jobs.insert(job.id, queued);
        }
    }

    /// Does what the rules decide about `event`.
    fn happens(&mut self, id: JobId, event: Event) -> Result<Change, Refused> {
        let before = self.jobs[&id].state;
        let change = decide(&self.policy, before, event)?;
        let (owner, price, day) = (self.jobs[&id].client, self.jobs[&id].price, self.jobs[&id].day);
        if change.serves {
            let waiting = self.waiting().len() as u64;
            let known = self.clients.entry(owner).or_default();
            (self.virtual_now, known.start) = fairness::serve(self.virtual_now, known.start, price, waiting);
        }
        if change.refunds {
            *self.used.entry((day, owner)).or_default() -= 1;
        }
        if change.line == Line::Joins {
            self.joins(owner);
        }
        let (now, policy) = (self.now, self.policy.clone());
        let job = self.jobs.get_mut(&id).expect("it is there");
        job.state = before.after(&change);
        job.due = match change.line {
            // A deferral gives the attempt back, and waits for a time of its own.
            Line::JoinsAfter(_) if change.attempt < before.attempt => {
                let at = |spread| now + retry::deferral(DEFERRED, before.deferrals, spread);
                Some((at(0.75), at(1.25)))
            }
            Line::JoinsAfter(_) => {
                let at = |spread| now + retry::wait(policy.retry_after, before.attempt, spread);
                Some((at(0.75), at(1.25)))
            }
            _ => None,
        };
        if change.hold == Hold::Extended {
            job.lease_until = now + policy.lease;
        }
        if change.hold == Hold::Begins {
            job.lease_until = now + policy.lease;
            self.moments += 1;
            self.clients.entry(owner).or_default().head_since = self.moments;
        }
        if change.output == Output::Kept {
            job.expires = now + policy.result_ttl;
        }
        match change.input {
            Input::Unchanged => {}
            Input::Garbage => job.input_due = now + INPUT_KEPT,
            Input::GarbageLater => job.input_due = now + policy.result_ttl.max(INPUT_KEPT),
        }
        Ok(change)
    }

    /// Leases that ran out, in the order in which the jobs arrived.
    fn reclaim(&mut self) {
        let lost = |job: &ExpectedJob| job.state.status == Status::Processing && job.lease_until <= self.now;
        let mut ids: Vec<_> = self.jobs.iter().filter(|(_, job)| lost(job)).map(|(id, _)| *id).collect();
        ids.sort_by_key(|id| self.jobs[id].seq);
        for id in ids {
            self.happens(id, Event::LeaseExpired).expect("a lease can run out");
        }
    }

    /// The jobs of which a claim may give one: more than one only where starts are equal.
    fn turn(&mut self) -> Vec<JobId> {
        self.called();
        let due = |job: &ExpectedJob| job.due.is_some_and(|(_, latest)| latest <= self.now);
        let mut ids: Vec<_> = self.jobs.iter().filter(|(_, job)| due(job)).map(|(id, job)| (job.seq, *id)).collect();
        ids.sort();
        for (_, id) in ids {
            self.joins(self.jobs[&id].client);
            self.jobs.get_mut(&id).expect("it is there").due = None;
        }
        self.reclaim();
        let waiting = self.waiting();
        let known = |client: &ClientKey| self.clients[client];
        let first: Vec<ClientKey> = match fairness::order(self.claims) {
            Order::Start => {
                let Some(least) = waiting.iter().map(|client| known(client).start).min_by(f64::total_cmp) else {
                    return Vec::new();
                };
                waiting.into_iter().filter(|client| known(client).start == least).collect()
            }
            Order::LongestWait => {
                waiting.into_iter().min_by_key(|client| known(client).head_since).into_iter().collect()
            }
        };
        first.into_iter().map(|client| self.line(client)[0]).collect()
    }

    fn held(&mut self, lease: &Lease) -> Option<&mut ExpectedJob> {
        let held = |job: &&mut ExpectedJob| job.state.status == Status::Processing && job.fence == Some(lease.fence);
        self.jobs.get_mut(&lease.job).filter(held)
    }

    /// Applies an event from the holder of a lease. Returns false if the lease is lost.
    fn of_holder(&mut self, lease: &Lease, event: Event) -> bool {
        self.held(lease).is_some() && self.happens(lease.job, event).is_ok()
    }

    fn reap(&mut self) {
        self.called();
        self.reclaim();
        let over = |job: &ExpectedJob| job.state.status == Status::Succeeded && job.expires <= self.now;
        let ids: Vec<_> = self.jobs.iter().filter(|(_, job)| over(job)).map(|(id, _)| *id).collect();
        for id in ids {
            self.happens(id, Event::ResultExpired).expect("a result can expire");
        }
        // Idle clients whose start lies in the past are forgotten, which is as if they had never been.
        let waiting = self.waiting();
        let open: Vec<_> =
            self.jobs.values().filter(|job| !job.state.status.is_terminal()).map(|job| job.client).collect();
        let now = self.virtual_now;
        self.clients.retain(|key, client| waiting.contains(key) || open.contains(key) || client.start > now);
    }

    /// Moves on by `step`, and further until it is certain which retries are due.
    fn advance(&mut self, clock: &ManualClock, step: Duration) {
        let mut wait = step;
        loop {
            clock.advance(wait);
            self.now += SignedDuration::try_from(wait).expect("a short time");
            let unsure = |job: &&ExpectedJob| job.due.is_some_and(|(early, late)| early <= self.now && self.now < late);
            if !self.jobs.values().any(|job| unsure(&job)) {
                return;
            }
            wait = Duration::from_millis(500);
        }
    }
}

pub(super) async fn random_interleavings_follow_the_rules_1(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    interleave(store, clock, 1).await;
}

pub(super) async fn random_interleavings_follow_the_rules_2(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    interleave(store, clock, 2).await;
}

pub(super) async fn random_interleavings_follow_the_rules_3(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    interleave(store, clock, 3).await;
}

/// The same seed gives the same interleaving on every store.
async fn interleave(store: Arc<dyn Store>, clock: Arc<ManualClock>, seed: u64) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut model = Expected {
        policy: Policy::default(),
        now: start(),
        jobs: BTreeMap::new(),
        used: HashMap::new(),
        virtual_now: 0.0,
        claims: 0,
        moments: 0,
        clients: HashMap::new(),
        last_call: None,
    };
    let mut leases: Vec<Lease> = Vec::new();
    for step in 0..STEPS {
        let at = format!("seed {seed}, step {step}");
        match rng.random_range(0..100) {
            0..22 => {
                let owner = client(rng.random_range(0..CLIENTS));
                let jobs: Vec<_> = (0..rng.random_range(1..4)).map(|_| sized(owner, &mut rng)).collect();
                model.submit(owner, &jobs);
                store.submit(NewJobs::new(owner, jobs)).await.unwrap();
            }
            22..52 => match (model.turn(), store.claim(&request()).await.unwrap()) {
                (jobs, Claim::Nothing { .. }) if jobs.is_empty() => {}
                (jobs, Claim::Job(job, lease)) if jobs.contains(&job.id) => {
                    model.claims += 1;
                    model.happens(job.id, Event::Claimed).expect("a waiting job can be claimed");
                    let expected = model.jobs.get_mut(&job.id).expect("it is there");
                    assert_eq!(lease.attempt, expected.state.attempt, "{at}");
                    expected.fence = Some(lease.fence);
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
                        Outcome::Deferred(DEFERRED),
                    ][rng.random_range(0..5)]
                    .clone();
                    let done = store.finish(lease, outcome.clone()).await;
                    assert_eq!(
                        done.is_ok(),
                        model.of_holder(lease, Event::Finished(outcome.clone())),
                        "{at}: {outcome:?} {done:?}"
                    );
                }
            }
            70..74 => {
                if let Some(lease) = leases.choose(&mut rng) {
                    assert_eq!(store.release(lease).await.is_ok(), model.of_holder(lease, Event::Released), "{at}");
                }
            }
            74..82 => {
                if let Some(lease) = leases.choose(&mut rng) {
                    let beat = store.heartbeat(lease).await.ok();
                    model.called();
                    let expected = model
                        .of_holder(lease, Event::Heartbeat)
                        .then(|| if model.jobs[&lease.job].state.cancel_requested { Beat::Cancel } else { Beat::GoOn });
                    assert_eq!(beat, expected, "{at}");
                }
            }
            82..84 => {
                let failed = |job: &ExpectedJob| job.state.status == Status::Failed;
                let ids: Vec<_> = model.jobs.iter().filter(|(_, job)| failed(job)).map(|(id, _)| *id).collect();
                if let Some(id) = ids.choose(&mut rng) {
                    let input_kept = model.jobs[id].input_due > model.now;
                    let expected = model.happens(*id, Event::Requeued { input_kept }).is_ok();
                    assert_eq!(store.requeue(*id).await.is_ok(), expected, "{at}");
                }
            }
            84..88 => {
                let ids: Vec<_> = model.jobs.keys().copied().collect();
                if let Some(id) = ids.choose(&mut rng) {
                    if rng.random_range(0..4) == 0 {
                        store.withdraw(*id).await.unwrap();
                        model.happens(*id, Event::Withdrawn).expect("any job can be withdrawn");
                    } else {
                        let expected = model.happens(*id, Event::CancelRequested).is_ok();
                        assert_eq!(store.cancel(*id).await.is_ok(), expected, "{at}");
                    }
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

async fn compare(store: &dyn Store, model: &Expected, at: &str) {
    for (id, expected) in &model.jobs {
        let job = store.get(*id).await.unwrap().unwrap_or_else(|| panic!("{at}: {id} is gone"));
        let got = (job.status, job.attempt, job.started_at.is_some());
        assert_eq!(got, (expected.state.status, expected.state.attempt, expected.state.attempt > 0), "{at}: {id}");
    }
    for number in 0..CLIENTS {
        let used = model.used.get(&(UtcDay::of(model.now), client(number))).copied().unwrap_or(0);
        assert_eq!(store.quota(client(number)).await.unwrap().used, used, "{at}: client {number}");
    }
    let stats = store.stats().await.unwrap();
    let expected = (model.count(Status::Queued), model.count(Status::Processing));
    assert_eq!((stats.queued, stats.processing), expected, "{at}");
}

fn sized(owner: ClientKey, rng: &mut SmallRng) -> NewJob {
    let mut job = new_job_of(owner);
    (job.input.width, job.input.height) = (rng.random_range(1..3000), rng.random_range(1..3000));
    job
}
