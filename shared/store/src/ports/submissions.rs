//! Submitting jobs and calling them off.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use remaster_shared::client::ClientKey;
use remaster_shared::error::JobError;
use remaster_shared::idempotency::{Fingerprint, IdempotencyKey};
use remaster_shared::job::{BatchId, BatchRecord, EnhanceParams, InputInfo, JobId, JobRecord, Status};
use remaster_shared::quota::Quota;
use remaster_shared::webhook::Target;

use super::Jobs;
use crate::StoreError;

/// One job to be queued. Its input already lies in the blob storage.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Chosen by the caller, since the input's key is made of it.
    pub id: JobId,
    /// What is asked for.
    pub params: EnhanceParams,
    /// What was uploaded.
    pub input: InputInfo,
    /// The upscaler's work for a pixel of the input, in units of `realesrgan-x4plus`, by which the job is priced.
    pub cost: f64,
    /// Why the file was refused, where it is part of a batch that goes on without it. Such a job has no input in the blob
    /// storage, costs nothing, and has failed from the start.
    pub refused: Option<JobError>,
}

impl NewJob {
    /// A job whose input was accepted, for an upscaler whose cost is not known.
    pub fn new(id: JobId, params: EnhanceParams, input: InputInfo) -> Self {
        Self { id, params, input, cost: 1.0, refused: None }
    }

    /// The record of the job as it is once it was submitted.
    pub fn into_record(self, client: ClientKey, batch: Option<BatchId>, now: Timestamp) -> JobRecord {
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
            output: None,
            error: self.refused,
            batch,
            webhook: None,
        }
    }
}

/// Jobs of one client, which are accepted all or none.
#[derive(Debug, Clone)]
pub struct NewJobs {
    /// Who is charged.
    pub client: ClientKey,
    /// The jobs, at least one.
    pub jobs: Vec<NewJob>,
    /// The client's key for this request, if it sent one.
    pub idempotency: Option<Idempotency>,
    /// The batch that the jobs form, if they were sent as one.
    pub batch: Option<BatchId>,
    /// Whom to tell when the batch, or else the one job, has ended.
    pub webhook: Option<Target>,
}

impl NewJobs {
    /// Jobs without an idempotency key, a batch or a webhook.
    pub fn new(client: ClientKey, jobs: Vec<NewJob>) -> Self {
        Self { client, jobs, idempotency: None, batch: None, webhook: None }
    }

    /// Quota units that they cost: one for each job that was not refused.
    pub fn units(&self) -> u64 {
        self.jobs.iter().filter(|job| job.refused.is_none()).count() as u64
    }
}

/// The client's key for a request, and a hash of what the request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key, which counts for this client only.
    pub key: IdempotencyKey,
    /// Tells a repetition of the request from another request with the same key.
    pub fingerprint: Fingerprint,
}

/// How long a key is known.
pub const IDEMPOTENCY_TTL: Duration = Duration::from_secs(24 * 3600);

/// What a submit came to.
#[derive(Debug, Clone)]
pub struct Submitted {
    /// The jobs, in the order in which they were given. That of a single one may tell its place in line already.
    pub jobs: Vec<JobRecord>,
    /// The client's quota after it was charged.
    pub quota: Quota,
    /// Whether these are the jobs of an earlier submit with the same key, so that nothing was charged.
    pub replayed: bool,
}

/// Why a submit was refused. Whatever the reason, nothing was charged and nothing was queued.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The client has too few units left today.
    #[error("the daily quota is used up")]
    QuotaExceeded(Quota),
    /// The client has used this key for another request.
    #[error("the idempotency key was used for another request")]
    KeyReused,
    /// Too many jobs wait already.
    #[error("the queue holds {waiting} jobs, its limit is {limit}")]
    QueueFull {
        /// Jobs that wait, over all clients.
        waiting: u64,
        /// The setting `MAX_QUEUE`.
        limit: u64,
    },
    /// The store failed. Whether the submit was carried out is not known; [`Submissions::withdraw`] makes it certain.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a job or a batch cannot be canceled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// It does not exist, or is no longer remembered.
    #[error("there is no such job or batch")]
    NotFound,
    /// It has ended already; the text is the status that it ended with.
    #[error("it is already {0}")]
    AlreadyFinished(&'static str),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What the API may do to jobs.
#[async_trait]
pub trait Submissions: Jobs {
    /// Charges the client and queues its jobs, or refuses them all and charges nothing. A key that is known gives the jobs
    /// it stands for, and charges nothing.
    ///
    /// # Errors
    /// The quota, the queue or the key does not allow it ([`SubmitError`]), or the store failed.
    async fn submit(&self, new: NewJobs) -> Result<Submitted, SubmitError>;

    /// Whether a submit of `client` with this key would be a repetition, so that it needs no quota.
    ///
    /// # Errors
    /// The store does not answer.
    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError>;

    /// Cancels a waiting job at once and refunds it if no attempt was made yet; asks the worker of a running job to stop.
    ///
    /// # Errors
    /// There is no such job, it has ended, or the store failed.
    async fn cancel(&self, job: JobId) -> Result<JobRecord, CancelError>;

    /// Cancels every job of the batch that has not ended, each as [`Submissions::cancel`] does.
    ///
    /// # Errors
    /// There is no such batch, it has ended, or the store failed.
    async fn cancel_batch(&self, batch: BatchId) -> Result<BatchRecord, CancelError>;

    /// Takes back a submit that may have been carried out although it failed with a [`StoreError`]. The job, if it exists, is
    /// canceled, refunded in whatever state it is, and nobody is told of it. A job that does not exist is not an error.
    ///
    /// # Errors
    /// The store does not answer; then it can be tried again.
    async fn withdraw(&self, job: JobId) -> Result<(), StoreError>;
}
