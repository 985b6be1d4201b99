//! The shared store: Redis (7 or newer) or Valkey, for many API nodes and many workers.
//!
//! Each verb is one function of the library in `migrations/redis/`, so one atomic step on the server, by the server's
//! clock. Wake-ups and changes come by pub/sub; whoever waits also looks now and then, so a lost message costs time
//! only.

mod connect;
mod library;
#[cfg(test)]
mod tests;
mod wire;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use fred::clients::{Client, SubscriberClient};
use fred::interfaces::{FunctionInterface, HashesInterface, KeysInterface, SortedSetsInterface};
use fred::types::SetOptions;
use jiff::Timestamp;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::client::{ClientHasher, ClientKey};
use remaster_shared::clock::{Clock, SharedClock, SystemClock, from_millis};
use remaster_shared::error::Fault;
use remaster_shared::fleet::{Announcement, WORKER_REMEMBERED, WorkerSeen};
use remaster_shared::idempotency::IdempotencyKey;
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord, JobResult};
use remaster_shared::quota::{Quota, UtcDay};
use remaster_shared::stats::Stats;
use remaster_shared::webhook::{Attempted, DeliveryStatus, Next};
use remaster_store::rules::{price::price, retry};
use remaster_store::{
    Beat, CancelError, Claim, DueHooks, HOOK_LEASE, HookRoom, Housekeeping, Jobs, Lease, LeaseError, NewJobs, Outbox,
    Outcome, Policy, Reaped, StoreError, Submissions, SubmitError, Submitted, Watch, WorkQueue, WorkerRegistry,
    notifier::Notifier,
};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use wire::{Done, Held, JobReply};

const SECRET: &str = "{rm}:secret";

#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    #[error(
        "REDIS_URL cannot be understood ({0}); it takes redis://host:6379, rediss://, redis-cluster:// or redis-sentinel://"
    )]
    Url(String),
    #[error("Redis does not answer: {0}")]
    Unreachable(#[source] fred::error::Error),
    #[error("the functions library cannot be loaded; Redis 7 or newer is needed: {0}")]
    Library(#[source] fred::error::Error),
    #[error(
        "this Redis is used by a newer remaster (functions library {found}, this one has {known}); update this one"
    )]
    Newer { found: u32, known: u32 },
    #[error("the secret in Redis cannot be read")]
    Secret,
}

pub struct RedisStore {
    client: Client,
    /// Feeds the notifier.
    _subscriber: SubscriberClient,
    notifier: Arc<Notifier>,
    hasher: ClientHasher,
    policy: Policy,
    /// Only for tests; else the server's.
    clock: Option<SharedClock>,
}

impl RedisStore {
    /// Connects to what `REDIS_URL` names and makes sure of the functions library.
    pub async fn open(url: &str, policy: Policy) -> Result<Self, RedisError> {
        Self::with_clock(url, policy, None).await
    }

    async fn with_clock(url: &str, policy: Policy, clock: Option<SharedClock>) -> Result<Self, RedisError> {
        let client = connect::client(url).await?;
        library::ensure(&client).await?;
        let hasher = ClientHasher::new(secret(&client).await?);
        let notifier = Arc::new(Notifier::default());
        let subscriber = connect::subscribe(url, &client, Arc::clone(&notifier)).await?;
        Ok(Self { client, _subscriber: subscriber, notifier, hasher, policy, clock })
    }

    /// The time as the functions' first argument: empty for the server's own.
    fn time(&self) -> String {
        self.clock.as_ref().map(|clock| clock.now().as_millisecond().to_string()).unwrap_or_default()
    }

    async fn call<T: DeserializeOwned>(&self, function: &'static str, args: Vec<String>) -> Result<T, StoreError> {
        let mut answer: Result<String, _> = self.client.fcall(function, "{rm}", args.clone()).await;
        if answer.as_ref().is_err_and(library::is_missing) {
            library::ensure(&self.client).await.map_err(StoreError::caused_by)?;
            answer = self.client.fcall(function, "{rm}", args).await;
        }
        let text = answer.map_err(StoreError::caused_by)?;
        serde_json::from_str(&text).map_err(|error| StoreError::new(format!("the answer of {function}: {error}")))
    }

    /// A verb of a lease's holder.
    async fn held<T: DeserializeOwned>(&self, function: &'static str, args: Vec<String>) -> Result<T, LeaseError> {
        match self.call(function, args).await? {
            Held::Lost { .. } => Err(LeaseError::Lost),
            Held::Kept(reply) => Ok(reply),
        }
    }

    async fn succeed(&self, lease: &Lease, result: &JobResult) -> Result<JobReply, LeaseError> {
        let mut args = self.fenced(lease);
        args.extend([json(result)?, millis(self.policy.result_ttl)]);
        self.held("rm_succeed", args).await
    }

    /// Time, job and token.
    fn fenced(&self, lease: &Lease) -> Vec<String> {
        vec![self.time(), lease.job.to_string(), lease.token.to_string()]
    }
}

/// The secret that all nodes share: whoever comes first makes it.
async fn secret(client: &Client) -> Result<[u8; 32], RedisError> {
    let candidate: [u8; 32] = rand::random();
    let set = client.set::<(), _, _>(SECRET, candidate.as_slice(), None, Some(SetOptions::NX), false);
    set.await.map_err(RedisError::Unreachable)?;
    let kept: Vec<u8> = client.get(SECRET).await.map_err(RedisError::Unreachable)?;
    kept.try_into().map_err(|_| RedisError::Secret)
}

fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::caused_by)
}

#[async_trait]
impl Jobs for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    /// Which day it is, and what callers are told; leases and retries go by the server's clock.
    fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| SystemClock.now(), |clock| clock.now())
    }

    fn hasher(&self) -> &ClientHasher {
        &self.hasher
    }

    async fn get(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        let reply: wire::GetReply = self.call("rm_get", vec![id.to_string()]).await?;
        let Some(job) = &reply.job else { return Ok(None) };
        let webhook = wire::delivery(reply.hook.as_ref())?;
        Ok(Some(JobRecord { position: reply.position, webhook, ..wire::record(job)? }))
    }

    async fn batch(&self, id: BatchId) -> Result<Option<BatchRecord>, StoreError> {
        wire::batch(&self.call("rm_batch", vec![id.to_string()]).await?)
    }

    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError> {
        let now = self.now();
        let key = format!("{{rm}}:quota:{}", UtcDay::of(now).0);
        let used: Option<u64> = self.client.hget(key, client.to_string()).await.map_err(StoreError::caused_by)?;
        // A client that is not in the hash has used nothing.
        Ok(Quota::new(used.unwrap_or(0), self.policy.daily_limit, now))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let wire::StatsReply { clients, used, queued, processing } =
            self.call("rm_stats", vec![self.time(), day]).await?;
        Ok(Stats { clients_today: clients, requests_today: used, queued, processing })
    }

    fn watch(&self, id: Uuid) -> Watch {
        self.notifier.watch(id)
    }
}

#[async_trait]
impl Submissions for RedisStore {
    async fn submit(&self, new: NewJobs) -> Result<Submitted, SubmitError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let (limit, queue) = (self.policy.daily_limit.to_string(), self.policy.max_queue.to_string());
        let (key, fingerprint) = match &new.idempotency {
            Some(same) => (same.key.as_str().to_owned(), same.fingerprint.to_string()),
            None => Default::default(),
        };
        let batch = new.batch.map(|batch| batch.to_string()).unwrap_or_default();
        let (target, host) = match &new.webhook {
            Some(target) => (json(target)?, target.host().to_owned()),
            None => Default::default(),
        };
        let mut args = vec![self.time(), new.client.to_string(), day, limit, queue, key, fingerprint];
        args.extend([batch, target, host, new.units().to_string()]);
        for job in &new.jobs {
            args.extend([job.id.to_string(), json(&job.params)?, json(&job.input)?, price(job).to_string()]);
            args.push(job.refused.as_ref().map(json).transpose()?.unwrap_or_default());
        }
        let reply: wire::SubmitReply = self.call("rm_submit_3", args).await?;
        let now = from_millis(reply.now as i64);
        let quota = Quota::new(reply.used, self.policy.daily_limit, now);
        match (reply.refused, reply.jobs) {
            (None, Some(jobs)) => {
                let jobs = jobs.iter().map(wire::record).collect::<Result<_, _>>()?;
                Ok(Submitted { jobs, quota, replayed: true })
            }
            (None, None) => {
                let jobs = new.jobs.into_iter().map(|job| job.into_record(new.client, new.batch, now)).collect();
                Ok(Submitted { jobs, quota, replayed: false })
            }
            (Some(wire::Refused::Reused), _) => Err(SubmitError::KeyReused),
            (Some(wire::Refused::Quota), _) => Err(SubmitError::QuotaExceeded(quota)),
            (Some(wire::Refused::Full), _) => {
                let waiting = reply.waiting.ok_or_else(|| StoreError::new("a full queue without its length"))?;
                Err(SubmitError::QueueFull { waiting, limit: self.policy.max_queue })
            }
        }
    }

    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError> {
        let args = vec![self.time(), client.to_string(), key.as_str().to_owned()];
        let reply: wire::KnowsReply = self.call("rm_knows", args).await?;
        Ok(reply.replayed)
    }

    async fn cancel(&self, id: JobId) -> Result<JobRecord, CancelError> {
        let reply: wire::CancelReply = self.call("rm_cancel", vec![self.time(), id.to_string()]).await?;
        let record = wire::record(reply.job.as_ref().ok_or(CancelError::NotFound)?)?;
        match reply.finished {
            Some(false) => Ok(record),
            Some(true) => Err(CancelError::AlreadyFinished(record.status.as_str())),
            None => Err(StoreError::new("a cancel that does not say what came of it").into()),
        }
    }

    async fn cancel_batch(&self, id: BatchId) -> Result<BatchRecord, CancelError> {
        let reply: wire::BatchReply = self.call("rm_cancel_batch", vec![self.time(), id.to_string()]).await?;
        let batch = wire::batch(&reply)?.ok_or(CancelError::NotFound)?;
        match reply.finished {
            Some(false) => Ok(batch),
            Some(true) => Err(CancelError::AlreadyFinished(batch.status().as_str())),
            None => Err(StoreError::new("a cancel that does not say what came of it").into()),
        }
    }

    async fn withdraw(&self, job: JobId) -> Result<(), StoreError> {
        let _: Done = self.call("rm_withdraw", vec![self.time(), job.to_string()]).await?;
        Ok(())
    }
}

#[async_trait]
impl WorkQueue for RedisStore {
    async fn claim(&self, worker: &str) -> Result<Claim, StoreError> {
        let (lease, attempts) = (millis(self.policy.lease), self.policy.max_attempts.to_string());
        match self.call("rm_claim", vec![self.time(), worker.to_owned(), lease, attempts]).await? {
            wire::ClaimReply::Next(next) => Ok(Claim::Nothing { next: wire::wait(next) }),
            wire::ClaimReply::Job(hash) => {
                let (job, token) = (wire::record(&hash)?, wire::token(&hash)?);
                let lease = Lease { job: job.id, attempt: job.attempt, token, worker: worker.to_owned() };
                Ok(Claim::Job(Box::new(job), lease))
            }
        }
    }

    async fn wait_for_work(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.notifier.work()).await;
    }

    async fn heartbeat(&self, lease: &Lease) -> Result<Beat, LeaseError> {
        let mut args = self.fenced(lease);
        args.push(millis(self.policy.lease));
        let reply: wire::BeatReply = self.held("rm_heartbeat", args).await?;
        Ok(if reply.cancel { Beat::Cancel } else { Beat::GoOn })
    }

    async fn progress(&self, lease: &Lease, fraction: f64) -> Result<(), LeaseError> {
        let fraction = fraction.clamp(0.0, 1.0).to_string();
        let args = vec![lease.job.to_string(), lease.token.to_string(), fraction];
        let _: Done = self.held("rm_progress", args).await?;
        Ok(())
    }

    async fn finish(&self, lease: &Lease, outcome: Outcome) -> Result<JobRecord, LeaseError> {
        let reply = match outcome {
            Outcome::Succeeded(result) => self.succeed(lease, &result).await?,
            Outcome::Canceled => self.held("rm_canceled", self.fenced(lease)).await?,
            Outcome::Failed(error) => {
                let wait = || millis(retry::wait(self.policy.retry_after, lease.attempt, retry::spread()));
                let wait = if error.is_retryable() { wait() } else { String::new() };
                let service = if error.code.fault() == Fault::Service { "1" } else { "0" };
                let mut args = self.fenced(lease);
                args.extend([error.code.as_str().to_owned(), error.message, service.to_owned()]);
                args.extend([wait, self.policy.max_attempts.to_string()]);
                self.held("rm_failed", args).await?
            }
        };
        Ok(wire::record(&reply.job)?)
    }

    async fn release(&self, lease: &Lease) -> Result<(), LeaseError> {
        let _: Done = self.held("rm_release", self.fenced(lease)).await?;
        Ok(())
    }
}

#[async_trait]
impl Outbox for RedisStore {
    async fn due_hooks(&self, room: HookRoom) -> Result<DueHooks, StoreError> {
        let mut args = vec![self.time(), millis(HOOK_LEASE), room.total.to_string(), room.per_host.to_string()];
        args.extend(room.under_way.into_iter().flat_map(|(host, under_way)| [host, under_way.to_string()]));
        let reply: wire::HooksReply = self.call("rm_due_hooks", args).await?;
        // One that another release wrote, say, is no reason to hold up the others.
        let readable = reply.hooks.iter().filter_map(|hook| {
            wire::due_hook(hook).inspect_err(|error| tracing::warn!(%error, "a webhook is passed over")).ok()
        });
        Ok(DueHooks { due: readable.collect(), next: wire::wait(reply.next) })
    }

    async fn hook_attempted(&self, attempted: Attempted) -> Result<(), StoreError> {
        let Attempted { subject, attempts, attempt, body, next } = attempted;
        let next = match next {
            Next::Retry(wait) => millis(wait),
            Next::Delivered => DeliveryStatus::Delivered.as_str().to_owned(),
            Next::GiveUp => DeliveryStatus::Failed.as_str().to_owned(),
        };
        let args = vec![self.time(), subject.id().to_string(), attempts.to_string(), json(&attempt)?, body, next];
        let _: Done = self.call("rm_hook_attempted", args).await?;
        Ok(())
    }

    async fn wait_for_hooks(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.notifier.hooks()).await;
    }
}

#[async_trait]
impl Housekeeping for RedisStore {
    async fn reap(&self) -> Result<Reaped, StoreError> {
        let kept = millis(self.policy.result_ttl + self.policy.record_ttl);
        let wire::ReapReply { requeued, poisoned, expired, forgotten } =
            self.call("rm_reap", vec![self.time(), self.policy.max_attempts.to_string(), kept]).await?;
        Ok(Reaped { requeued, poisoned, expired, forgotten })
    }

    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let last = limit as i64 - 1;
        let entries = self.client.zrange::<Vec<String>, _, _, _>("{rm}:trash", 0, last, None, false, None, false).await;
        Ok(entries.map_err(StoreError::caused_by)?.iter().filter_map(|entry| from_trash(entry)).collect())
    }

    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError> {
        let _: Done = self.call("rm_collected", gone.into_iter().map(to_trash).collect()).await?;
        Ok(())
    }
}

#[async_trait]
impl WorkerRegistry for RedisStore {
    async fn announce(&self, worker: &Announcement) -> Result<(), StoreError> {
        let _: Done = self.call("rm_announce", vec![self.time(), worker.name.clone(), json(worker)?]).await?;
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<WorkerSeen>, StoreError> {
        let reply: wire::WorkersReply = self.call("rm_workers", vec![self.time(), millis(WORKER_REMEMBERED)]).await?;
        // By the server's clock it is that long ago; told in this node's.
        let ahead = self.now().duration_since(from_millis(reply.now as i64));
        // One that another release announced, say, is no reason to know of none.
        let readable = reply.workers.iter().filter_map(|(said, at)| {
            wire::worker(said, at).inspect_err(|error| tracing::warn!(%error, "a worker is passed over")).ok()
        });
        let told =
            |worker: WorkerSeen| WorkerSeen { at: worker.at.saturating_add(ahead).unwrap_or(worker.at), ..worker };
        Ok(readable.map(told).collect())
    }
}

fn to_trash(key: BlobKey) -> String {
    match key {
        BlobKey::Input(job) => format!("i:{job}"),
        BlobKey::Output(job, attempt) => format!("o:{job}:{attempt}"),
    }
}

fn from_trash(entry: &str) -> Option<BlobKey> {
    match entry.split(':').collect::<Vec<_>>()[..] {
        ["i", job] => Some(BlobKey::Input(job.parse().ok()?)),
        ["o", job, attempt] => Some(BlobKey::Output(job.parse().ok()?, attempt.parse().ok()?)),
        _ => None,
    }
}
