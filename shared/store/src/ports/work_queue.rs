//! Working: claiming a job under a lease, keeping the lease, settling the job.

use std::time::Duration;

use async_trait::async_trait;
use remaster_shared::blob_key::OutputName;
use remaster_shared::client::ClientKey;
use remaster_shared::error::JobError;
use remaster_shared::job::{Fence, JobId, JobRecord, JobResult, Skill};
use remaster_shared::recipe::Recipe;

use super::Jobs;
use crate::StoreError;

/// What a worker asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The worker's name.
    pub worker: String,
    /// Drawn for this claim. The same request again, because its answer was lost, gives the same job.
    pub fence: Fence,
    /// What the worker can do: it is given no job that needs another skill.
    pub skills: Vec<Skill>,
    /// Clients that have their share of this worker. As long as other clients have jobs that it can do, the jobs of those go first.
    pub busy: Vec<ClientKey>,
}

/// A worker's right to a job, until it expires or another worker takes over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// The job.
    pub job: JobId,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// The fencing token: only that of the latest claim is obeyed.
    pub fence: Fence,
    /// The worker's name.
    pub worker: String,
}

/// Why a verb of a lease's holder was refused.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another worker has the job, or it has ended. Whatever was made of it must be dropped.
    #[error("the lease is lost")]
    Lost,
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a claim came to.
#[derive(Debug)]
pub enum Claim {
    /// A job, and the right to it.
    Job(Box<JobRecord>, Lease),
    /// An operator keeps this worker from being given jobs. It asks again after a while, without waiting for work.
    HeldBack,
    /// There is nothing to do.
    Nothing {
        /// How long it is until the next retry is due or the next lease expires, if there is one.
        next: Option<Duration>,
    },
}

/// What a heartbeat answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// The lease is extended.
    GoOn,
    /// The lease is extended, and the caller has canceled the job: stop, then settle it as [`Outcome::Canceled`].
    Cancel,
}

/// How an attempt ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The picture is stored.
    Succeeded(JobResult),
    /// The worker stopped because the caller had canceled the job.
    Canceled,
    /// The job is tried again later when the error may pass and attempts are left; otherwise it has failed.
    Failed(JobError),
    /// A fault of this service's own (its storage, a missing model, a full disk, a broken device) kept the worker from making
    /// the picture. The job waits in the queue for about this long, and the attempt does not count. After `MAX_DEFERRALS`
    /// deferrals the job fails instead.
    Deferred(Duration),
}

/// What a worker may do.
#[async_trait]
pub trait WorkQueue: Jobs {
    /// Takes the next job under a lease: the oldest job of the client whose turn it is. The attempt counts from the first
    /// heartbeat on, so that a claim whose answer was lost costs the job nothing.
    ///
    /// # Errors
    /// The store does not answer; then the same request can be made again.
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, StoreError>;

    /// Returns when work may have become available for a worker with these skills, or after `at_most`. It may return early. Of several
    /// workers that wait, one is woken for each job; it claims next, and then the claim wakes another one if there is more.
    async fn wait_for_work(&self, skills: &[Skill], at_most: Duration);

    /// Extends the lease to its full length from now. The first one begins the attempt.
    ///
    /// # Errors
    /// The lease is lost, or the store does not answer.
    async fn heartbeat(&self, lease: &Lease) -> Result<Beat, LeaseError>;

    /// Records how much of the work is done, from 0 to 1.
    ///
    /// # Errors
    /// The lease is lost, or the store does not answer.
    async fn progress(&self, lease: &Lease, fraction: f64) -> Result<(), LeaseError>;

    /// Settles an attempt: status, quota, result and webhook in one step. A job whose cancel was accepted before ends
    /// canceled, whatever the outcome.
    ///
    /// # Errors
    /// The lease is lost, or the store does not answer.
    async fn finish(&self, lease: &Lease, outcome: Outcome) -> Result<JobRecord, LeaseError>;

    /// Gives the job back unharmed and its attempt uncounted, as a worker does that shuts down.
    ///
    /// # Errors
    /// The lease is lost, or the store does not answer.
    async fn release(&self, lease: &Lease) -> Result<(), LeaseError>;

    /// Records that this output of the job is made by this recipe, for as long as results are kept.
    ///
    /// # Errors
    /// The store does not answer.
    async fn note_recipe(&self, job: &JobRecord, output: OutputName, recipe: Recipe) -> Result<(), StoreError>;

    /// The latest job of the client that was recorded with this recipe, if it has succeeded with that output, which is still kept.
    ///
    /// # Errors
    /// The store does not answer.
    async fn made_by(&self, client: ClientKey, recipe: Recipe) -> Result<Option<JobRecord>, StoreError>;
}
