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
use fred::interfaces::{FunctionInterface, KeysInterface};
use fred::types::SetOptions;
use jiff::Timestamp;
use uuid::Uuid;

use super::{
    Beat, CancelError, Claim, DueHooks, HOOK_LEASE, HookRoom, Lease, LeaseError, NewJobs, Outcome, Policy, Reaped,
    Stats, Store, StoreError, SubmitError, Submitted, Watch, backoff, hub::Hub,
};
use crate::blob::BlobKey;
use crate::client::{ClientHasher, ClientKey};
use crate::clock::{Clock, SharedClock, SystemClock, from_millis};
use crate::error::Fault;
use crate::fleet::{Announcement, WORKER_REMEMBERED, WorkerSeen};
use crate::idempotency::IdempotencyKey;
use crate::job::{BatchId, BatchRecord, JobId, JobRecord, JobResult};
use crate::quota::{Quota, UtcDay};
use crate::webhook::delivery::{Attempted, DeliveryStatus};
use crate::webhook::schedule::Next;
use wire::{Reply, record};

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
    /// Feeds the hub.
    _subscriber: SubscriberClient,
    hub: Arc<Hub>,
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
        let hub = Arc::new(Hub::default());
        let subscriber = connect::subscribe(url, &client, Arc::clone(&hub)).await?;
        Ok(Self { client, _subscriber: subscriber, hub, hasher, policy, clock })
    }

    /// The time as the functions' first argument: empty for the server's own.
    fn time(&self) -> String {
        self.clock.as_ref().map(|clock| clock.now().as_millisecond().to_string()).unwrap_or_default()
    }

    async fn call(&self, function: &'static str, args: Vec<String>) -> Result<Reply, StoreError> {
        let mut answer: Result<String, _> = self.client.fcall(function, "{rm}", args.clone()).await;
        if answer.as_ref().is_err_and(library::is_missing) {
            library::ensure(&self.client).await.map_err(|error| StoreError(error.to_string()))?;
            answer = self.client.fcall(function, "{rm}", args).await;
        }
        let text = answer.map_err(|error| StoreError(error.to_string()))?;
        serde_json::from_str(&text).map_err(|error| StoreError(format!("{function}: {error}")))
    }

    /// A verb of a lease's holder.
    async fn held(&self, function: &'static str, args: Vec<String>) -> Result<Reply, LeaseError> {
        let reply = self.call(function, args).await?;
        if reply.lost { Err(LeaseError::Lost) } else { Ok(reply) }
    }

    async fn succeed(&self, lease: &Lease, result: &JobResult) -> Result<Reply, LeaseError> {
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
    serde_json::to_string(value).map_err(|error| StoreError(error.to_string()))
}

/// The job in `reply`.
fn job(reply: &Reply) -> Result<JobRecord, StoreError> {
    let hash = reply.job.as_ref().ok_or_else(|| StoreError("no job in the reply".into()))?;
    record(hash, reply.position)
}

#[async_trait]
impl Store for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    fn hasher(&self) -> &ClientHasher {
        &self.hasher
    }

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
            args.extend([job.id.to_string(), json(&job.params)?, json(&job.input)?, job.cost().to_string()]);
            args.push(job.refused.as_ref().map(json).transpose()?.unwrap_or_default());
        }
        let reply = self.call("rm_submit_3", args).await?;
        let now = from_millis(reply.now as i64);
        let quota = Quota::new(reply.used, self.policy.daily_limit, now);
        match reply.refused.as_deref() {
            None if reply.replayed => {
                let jobs = reply.jobs.iter().map(|hash| record(hash, None)).collect::<Result<_, _>>()?;
                Ok(Submitted { jobs, quota, replayed: true })
            }
            None => {
                let jobs = new.jobs.into_iter().map(|job| job.submitted(new.client, new.batch, now)).collect();
                Ok(Submitted { jobs, quota, replayed: false })
            }
            Some("reused") => Err(SubmitError::KeyReused),
            Some("quota") => Err(SubmitError::QuotaExceeded(quota)),
            Some(_) => Err(SubmitError::QueueFull { waiting: reply.waiting, limit: self.policy.max_queue }),
        }
    }

    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError> {
        let args = vec![self.time(), client.to_string(), key.as_str().to_owned()];
        Ok(self.call("rm_knows", args).await?.replayed)
    }

    async fn claim(&self, worker: &str) -> Result<Claim, StoreError> {
        let (lease, attempts) = (millis(self.policy.lease), self.policy.max_attempts.to_string());
        let reply = self.call("rm_claim", vec![self.time(), worker.to_owned(), lease, attempts]).await?;
        let Some(hash) = &reply.job else {
            let next = (reply.next >= 0.0).then(|| Duration::from_millis(reply.next as u64));
            return Ok(Claim::Nothing { next });
        };
        let job = record(hash, None)?;
        let lease = Lease { job: job.id, attempt: job.attempt, token: wire::token(hash)?, worker: worker.to_owned() };
        Ok(Claim::Job(Box::new(job), lease))
    }

    async fn wait_for_work(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.hub.work()).await;
    }

    async fn heartbeat(&self, lease: &Lease) -> Result<Beat, LeaseError> {
        let mut args = self.fenced(lease);
        args.push(millis(self.policy.lease));
        let reply = self.held("rm_heartbeat", args).await?;
        Ok(if reply.cancel { Beat::Cancel } else { Beat::GoOn })
    }

    async fn progress(&self, lease: &Lease, fraction: f64) -> Result<(), LeaseError> {
        let fraction = fraction.clamp(0.0, 1.0).to_string();
        self.held("rm_progress", vec![lease.job.to_string(), lease.token.to_string(), fraction]).await.map(drop)
    }

    async fn finish(&self, lease: &Lease, outcome: Outcome) -> Result<JobRecord, LeaseError> {
        let reply = match outcome {
            Outcome::Succeeded(result) => self.succeed(lease, &result).await?,
            Outcome::Canceled => self.held("rm_canceled", self.fenced(lease)).await?,
            Outcome::Failed(error) => {
                let wait = error.is_retryable().then(|| millis(backoff(self.policy.retry_after, lease.attempt)));
                let service = if error.code.fault() == Fault::Service { "1" } else { "0" };
                let mut args = self.fenced(lease);
                args.extend([error.code.as_str().to_owned(), error.message, service.to_owned()]);
                args.extend([wait.unwrap_or_default(), self.policy.max_attempts.to_string()]);
                self.held("rm_failed", args).await?
            }
        };
        Ok(job(&reply)?)
    }

    async fn release(&self, lease: &Lease) -> Result<(), LeaseError> {
        self.held("rm_release", self.fenced(lease)).await.map(drop)
    }

    async fn cancel(&self, id: JobId) -> Result<JobRecord, CancelError> {
        let reply = self.call("rm_cancel", vec![self.time(), id.to_string()]).await?;
        if reply.job.is_none() {
            return Err(CancelError::NotFound);
        }
        let record = job(&reply)?;
        if reply.finished { Err(CancelError::AlreadyFinished(record.status.as_str())) } else { Ok(record) }
    }

    async fn withdraw(&self, job: JobId) -> Result<(), StoreError> {
        self.call("rm_withdraw", vec![self.time(), job.to_string()]).await.map(drop)
    }

    async fn get(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        let reply = self.call("rm_get", vec![id.to_string()]).await?;
        if reply.job.is_none() {
            return Ok(None);
        }
        Ok(Some(JobRecord { webhook: wire::standing(&reply)?, ..job(&reply)? }))
    }

    async fn batch(&self, id: BatchId) -> Result<Option<BatchRecord>, StoreError> {
        wire::batch(&self.call("rm_batch", vec![id.to_string()]).await?)
    }

    async fn cancel_batch(&self, id: BatchId) -> Result<BatchRecord, CancelError> {
        let reply = self.call("rm_cancel_batch", vec![self.time(), id.to_string()]).await?;
        let batch = wire::batch(&reply)?.ok_or(CancelError::NotFound)?;
        if reply.finished { Err(CancelError::AlreadyFinished(batch.status().as_str())) } else { Ok(batch) }
    }

    fn watch(&self, id: Uuid) -> Watch {
        self.hub.watch(id)
    }

    async fn due_hooks(&self, room: HookRoom) -> Result<DueHooks, StoreError> {
        let mut args = vec![self.time(), millis(HOOK_LEASE), room.total.to_string(), room.per_host.to_string()];
        args.extend(room.under_way.into_iter().flat_map(|(host, under_way)| [host, under_way.to_string()]));
        let reply = self.call("rm_due_hooks", args).await?;
        let readable = reply.hooks.iter().filter_map(|hook| match wire::due_hook(hook) {
            Ok(hook) => Some(hook),
            // One of another release, say: it is no reason to hold up the others.
            Err(error) => {
                tracing::warn!(%error, "a webhook is passed over");
                None
            }
        });
        let due = readable.collect();
        Ok(DueHooks { due, next: (reply.next >= 0.0).then(|| Duration::from_millis(reply.next as u64)) })
    }

    async fn hook_attempted(&self, attempted: Attempted) -> Result<(), StoreError> {
        let Attempted { subject, attempts, attempt, body, next } = attempted;
        let next = match next {
            Next::Retry(wait) => millis(wait),
            Next::Delivered => DeliveryStatus::Delivered.as_str().to_owned(),
            Next::GiveUp => DeliveryStatus::Failed.as_str().to_owned(),
        };
        let args = vec![self.time(), subject.id().to_string(), attempts.to_string(), json(&attempt)?, body, next];
        self.call("rm_hook_attempted", args).await.map(drop)
    }

    async fn wait_for_hooks(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.hub.hooks()).await;
    }

    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError> {
        use fred::interfaces::HashesInterface;
        let now = self.now();
        let key = format!("{{rm}}:quota:{}", UtcDay::of(now).0);
        let used: Option<u64> =
            self.client.hget(key, client.to_string()).await.map_err(|error| StoreError(error.to_string()))?;
        Ok(Quota::new(used.unwrap_or(0), self.policy.daily_limit, now))
    }

    async fn reap(&self) -> Result<Reaped, StoreError> {
        let kept = millis(self.policy.result_ttl + self.policy.record_ttl);
        let reply = self.call("rm_reap", vec![self.time(), self.policy.max_attempts.to_string(), kept]).await?;
        Ok(Reaped {
            requeued: reply.requeued,
            poisoned: reply.poisoned,
            expired: reply.expired,
            forgotten: reply.forgotten,
        })
    }

    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        use fred::interfaces::SortedSetsInterface;
        let last = limit as i64 - 1;
        let entries = self.client.zrange::<Vec<String>, _, _, _>("{rm}:trash", 0, last, None, false, None, false).await;
        let entries = entries.map_err(|error| StoreError(error.to_string()))?;
        Ok(entries.iter().filter_map(|entry| from_trash(entry)).collect())
    }

    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError> {
        self.call("rm_collected", gone.into_iter().map(to_trash).collect()).await.map(drop)
    }

    async fn announce(&self, worker: &Announcement) -> Result<(), StoreError> {
        let args = vec![self.time(), worker.name.clone(), json(worker)?];
        self.call("rm_announce", args).await.map(drop)
    }

    async fn workers(&self) -> Result<Vec<WorkerSeen>, StoreError> {
        let reply = self.call("rm_workers", vec![self.time(), millis(WORKER_REMEMBERED)]).await?;
        // By the server's clock it is that long ago; told in this node's.
        let ahead = self.now().duration_since(from_millis(reply.now as i64));
        let readable = reply.workers.iter().filter_map(|(said, at)| match wire::worker(said, at) {
            Ok(worker) => Some(WorkerSeen { at: worker.at.saturating_add(ahead).unwrap_or(worker.at), ..worker }),
            // One of another release, say: it is no reason to know of none.
            Err(error) => {
                tracing::warn!(%error, "a worker is passed over");
                None
            }
        });
        Ok(readable.collect())
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let reply = self.call("rm_stats", vec![self.time(), day]).await?;
        Ok(Stats {
            clients_today: reply.clients,
            requests_today: reply.used,
            queued: reply.queued,
            processing: reply.processing,
        })
    }

    /// Which day it is, and what callers are told; leases and retries go by the server's clock.
    fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| SystemClock.now(), |clock| clock.now())
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
