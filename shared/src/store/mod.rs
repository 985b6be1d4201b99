//! The job store and queue: one trait, its semantics fixed by one contract suite that every implementation passes.
//!
//! Each verb is one atomic step, durable before it returns. Nothing here does blob or network I/O on a job's behalf.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use jiff::Timestamp;
use rand::RngExt;
use uuid::Uuid;

use crate::blob::BlobKey;
use crate::client::{ClientHasher, ClientKey};
use crate::error::JobError;
use crate::fleet::{Announcement, WorkerSeen};
use crate::idempotency::{Fingerprint, IdempotencyKey};
use crate::job::{BatchId, BatchRecord, EnhanceParams, FaceMode, InputInfo, JobId, JobRecord, JobResult, Status};
use crate::quota::Quota;
use crate::webhook::delivery::{Attempted, Delivery, DeliveryStatus, DueHook, Target};

#[cfg(test)]
pub(crate) mod contract;
mod hub;
#[cfg(test)]
mod model;
mod redis;
mod sqlite;

pub use hub::Watch;
pub use redis::{RedisError, RedisStore};
pub use sqlite::{OpenError, SqliteStore};

/// The rules a store applies.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Units per client and UTC day.
    pub daily_limit: u64,
    /// Jobs waiting, over all clients, past which submits are refused.
    pub max_queue: u64,
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// Attempts after which a job that fails, or kills its worker, is failed for good.
    pub max_attempts: u32,
    /// Wait before the second attempt; doubles with each further one, give or take a quarter.
    pub retry_after: Duration,
    /// How long a result is kept.
    pub result_ttl: Duration,
    /// How much longer than its result a job's record is kept.
    pub record_ttl: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            daily_limit: 10_000,
            max_queue: 100_000,
            lease: Duration::from_secs(30),
            max_attempts: 3,
            retry_after: Duration::from_secs(2),
            result_ttl: Duration::from_secs(24 * 3600),
            record_ttl: Duration::from_secs(24 * 3600),
        }
    }
}

/// One job to be queued. Its input already lies in the blob store.
#[derive(Debug, Clone)]
pub struct NewJob {
    pub id: JobId,
    pub params: EnhanceParams,
    pub input: InputInfo,
    /// Why the file was refused at the door, in a batch that goes on without it: such a job has no input in the blob store,
    /// costs nothing and has failed from the start.
    pub refused: Option<JobError>,
}

impl NewJob {
    pub fn new(id: JobId, params: EnhanceParams, input: InputInfo) -> Self {
        Self { id, params, input, refused: None }
    }

    /// What the job costs its client's turn: megapixels of network work, and a little for the handling and for faces.
    pub fn cost(&self) -> f64 {
        let megapixels = f64::from(self.input.width) * f64::from(self.input.height) / 1e6;
        let background = if self.params.background { megapixels } else { 0.0 };
        let faces = if self.params.faces == FaceMode::Off { 0.0 } else { 0.01 * (1.0 + megapixels) };
        0.01 + background + faces
    }

    /// The job as it is once it was submitted.
    fn submitted(self, client: ClientKey, batch: Option<BatchId>, now: Timestamp) -> JobRecord {
        let refused = self.refused.is_some();
        JobRecord {
            id: self.id,
            client,
            status: if refused { Status::Failed } else { Status::Queued },
            params: self.params,
            input: self.input,
            created_at: now,
            started_at: None,
            finished_at: refused.then_some(now),
            expires_at: None,
            attempt: 0,
            progress: 0.0,
            cancel_requested: false,
            position: None,
            result: None,
            error: self.refused,
            batch,
            webhook: None,
        }
    }
}

/// Jobs of one client, accepted all or none.
#[derive(Debug, Clone)]
pub struct NewJobs {
    pub client: ClientKey,
    pub jobs: Vec<NewJob>,
    pub idempotency: Option<Idempotency>,
    /// Where they belong together.
    pub batch: Option<BatchId>,
    /// Whom to tell when the batch, or else the one job, is finished.
    pub webhook: Option<Target>,
}

impl NewJobs {
    pub fn new(client: ClientKey, jobs: Vec<NewJob>) -> Self {
        Self { client, jobs, idempotency: None, batch: None, webhook: None }
    }

    /// Units that they cost.
    fn units(&self) -> u64 {
        self.jobs.iter().filter(|job| job.refused.is_none()).count() as u64
    }
}

/// The client's key for this submit, and what it asks for: the same again is not charged again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    pub key: IdempotencyKey,
    pub fingerprint: Fingerprint,
}

/// How long a key is known.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 3600);

#[derive(Debug, Clone)]
pub struct Submitted {
    pub jobs: Vec<JobRecord>,
    pub quota: Quota,
    /// Whether these are the jobs of an earlier submit with the same key.
    pub replayed: bool,
}

/// The store itself failed; the operation may be tried again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("job store: {0}")]
pub struct StoreError(pub String);

#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// Nothing was charged.
    #[error("the daily quota is used up")]
    QuotaExceeded(Quota),
    /// Nothing was charged.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    #[error("the queue holds {waiting} jobs, its limit is {limit}")]
    QueueFull { waiting: u64, limit: u64 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A worker's right to a job, until it expires or is taken over. `token` is the fence: it only ever grows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub job: JobId,
    pub attempt: u32,
    pub token: u64,
    /// The worker's name.
    pub worker: String,
}

#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another worker has the job, or it is settled. Whatever was made of it must be dropped.
    #[error("the lease is lost")]
    Lost,
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug)]
pub enum Claim {
    Job(Box<JobRecord>, Lease),
    /// Nothing to do; the next delayed job or lease expiry is so far away.
    Nothing {
        next: Option<Duration>,
    },
}

/// What a heartbeat answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    GoOn,
    /// The caller canceled the job: stop, then settle it as [`Outcome::Canceled`].
    Cancel,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    Succeeded(JobResult),
    Canceled,
    /// Tried again later when the error may pass and attempts are left, else final.
    Failed(JobError),
}

#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    #[error("there is no such job or batch")]
    NotFound,
    /// As what it ended.
    #[error("it is already {0}")]
    AlreadyFinished(&'static str),
    #[error(transparent)]
    Store(#[from] StoreError),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Leases that ran out; their jobs are queued again.
    pub requeued: u64,
    /// Jobs failed for having lost a lease too often.
    pub poisoned: u64,
    pub expired: u64,
    /// Records deleted.
    pub forgotten: u64,
}

/// Deliveries to try now, each for its caller alone for [`HOOK_LEASE`].
#[derive(Debug, Default, PartialEq)]
pub struct DueHooks {
    pub due: Vec<DueHook>,
    /// When the next will be due, of hosts that are not at their bound.
    pub next: Option<Duration>,
}

/// How long a delivery handed out is its holder's; longer than an attempt can take.
pub const HOOK_LEASE: Duration = Duration::from_secs(30);

/// How many deliveries a caller can take, and what it has under way already.
#[derive(Debug, Clone, Default)]
pub struct HookRoom {
    pub total: usize,
    pub per_host: usize,
    /// By host.
    pub under_way: BTreeMap<String, usize>,
}

impl HookRoom {
    /// How many more may go to `host` when `taken` were taken so far, of any.
    fn left(&self, host: &str, taken: usize) -> usize {
        let busy = self.under_way.get(host).copied().unwrap_or(0);
        self.per_host.saturating_sub(busy).min(self.total.saturating_sub(taken))
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    pub clients_today: u64,
    /// Units charged today.
    pub requests_today: u64,
    /// Jobs waiting, delayed ones included.
    pub queued: u64,
    pub processing: u64,
}

#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// `sqlite`, …
    fn name(&self) -> &'static str;

    /// The secret under which this store's clients are hashed.
    fn hasher(&self) -> &ClientHasher;

    /// Charges the client and queues its jobs, or refuses them all and charges nothing. With a key that is known, gives the
    /// jobs it stands for instead.
    async fn submit(&self, new: NewJobs) -> Result<Submitted, SubmitError>;

    /// Whether a submit of `client` with this key would be a repetition, so that it needs no quota.
    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError>;

    /// The next job by fairness across clients, under a lease.
    async fn claim(&self, worker: &str) -> Result<Claim, StoreError>;

    /// Returns when work may have become available, or after `at_most`. May return early.
    async fn wait_for_work(&self, at_most: Duration);

    /// Extends the lease.
    async fn heartbeat(&self, lease: &Lease) -> Result<Beat, LeaseError>;

    /// Records progress, 0..=1.
    async fn progress(&self, lease: &Lease, fraction: f64) -> Result<(), LeaseError>;

    /// Settles an attempt: status, quota, result. A job whose cancel was already accepted ends canceled.
    async fn finish(&self, lease: &Lease, outcome: Outcome) -> Result<JobRecord, LeaseError>;

    /// Gives the job back unharmed, its attempt uncounted: at shutdown.
    async fn release(&self, lease: &Lease) -> Result<(), LeaseError>;

    /// Cancels at once and refunds when queued; when processing, asks its worker to stop.
    async fn cancel(&self, job: JobId) -> Result<JobRecord, CancelError>;

    /// Undoes a submit that may have been carried out though it failed with a [`StoreError`]: the job, if it is there,
    /// is canceled and refunded in whatever state it is.
    async fn withdraw(&self, job: JobId) -> Result<(), StoreError>;

    async fn get(&self, job: JobId) -> Result<Option<JobRecord>, StoreError>;

    async fn batch(&self, batch: BatchId) -> Result<Option<BatchRecord>, StoreError>;

    /// Cancels every job of the batch that has not ended, each as [`Store::cancel`] does.
    async fn cancel_batch(&self, batch: BatchId) -> Result<BatchRecord, CancelError>;

    /// A subscription to the changes of a job or a batch, from now on.
    fn watch(&self, id: Uuid) -> Watch;

    /// Webhooks whose time has come: a job's or a batch's end makes its own due in the same step.
    async fn due_hooks(&self, room: HookRoom) -> Result<DueHooks, StoreError>;

    /// Records an attempt. One that another attempt overtook changes nothing.
    async fn hook_attempted(&self, attempted: Attempted) -> Result<(), StoreError>;

    /// Returns when a webhook may have become due, or after `at_most`. May return early.
    async fn wait_for_hooks(&self, at_most: Duration);

    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError>;

    /// Housekeeping: lost leases, expired results, forgotten records.
    async fn reap(&self) -> Result<Reaped, StoreError>;

    /// Up to `limit` inputs and as many outputs to delete. They come again until [`Store::collected`] says they are gone.
    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError>;

    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError>;

    /// What a worker says of itself; it replaces what it said before.
    async fn announce(&self, worker: &Announcement) -> Result<(), StoreError>;

    /// The workers that are remembered, by name.
    async fn workers(&self) -> Result<Vec<WorkerSeen>, StoreError>;

    async fn stats(&self) -> Result<Stats, StoreError>;

    /// The store's own clock.
    fn now(&self) -> Timestamp;
}

/// How a delivery stands, from what both stores keep of it.
fn delivery(
    ended: Option<DeliveryStatus>,
    due: Option<Timestamp>,
    attempts: u32,
    last_attempt: Option<crate::webhook::delivery::Attempt>,
) -> Delivery {
    let status = ended.unwrap_or(if due.is_some() { DeliveryStatus::Pending } else { DeliveryStatus::Waiting });
    Delivery { status, attempts, last_attempt, next_attempt_at: due.filter(|_| ended.is_none()) }
}

/// The wait before the attempt that follows `attempt`: `base`, doubled for each after the first, give or take a quarter
/// so that failures do not return in step.
fn backoff(base: Duration, attempt: u32) -> Duration {
    let doubled = base.saturating_mul(1 << attempt.saturating_sub(1).min(16));
    doubled.mul_f64(rand::rng().random_range(0.75..1.25))
}

pub type SharedStore = Arc<dyn Store>;
