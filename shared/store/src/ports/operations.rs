//! What operators do by hand.

use std::collections::BTreeSet;

use async_trait::async_trait;
use remaster_shared::client::ClientKey;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{JobId, JobRecord};
use remaster_shared::quota::Quota;
use uuid::Uuid;

use super::Jobs;
use crate::StoreError;
use crate::rules::job::Refused;

/// Which jobs [`Operations::list`] gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobList {
    /// Jobs that failed, the latest first; with a code, only those that failed with it.
    Failed(Option<ErrorCode>),
    /// Jobs that are being worked on, those first whose lease ends first.
    Processing,
    /// Of each client the oldest job that waits, the longest wait first.
    Waiting,
}

/// Why a job cannot be queued again.
#[derive(Debug, thiserror::Error)]
pub enum RequeueError {
    /// It does not exist, or is no longer remembered.
    #[error("there is no such job")]
    NotFound,
    /// It has not failed, or its input is deleted.
    #[error(transparent)]
    Refused(Refused),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What an operator may do.
#[async_trait]
pub trait Operations: Jobs {
    /// Whether claiming is paused.
    ///
    /// # Errors
    /// The store does not answer.
    async fn is_paused(&self) -> Result<bool, StoreError>;

    /// Pauses or resumes claiming. While it is paused, no worker is given a job; jobs that are being worked on go on.
    ///
    /// # Errors
    /// The store does not answer.
    async fn set_paused(&self, paused: bool) -> Result<(), StoreError>;

    /// The workers that are drained.
    ///
    /// # Errors
    /// The store does not answer.
    async fn drained(&self) -> Result<BTreeSet<String>, StoreError>;

    /// Drains a worker, or lets it work again. A drained worker is given no job; those that it works on go on.
    ///
    /// # Errors
    /// The store does not answer.
    async fn set_drained(&self, worker: &str, drained: bool) -> Result<(), StoreError>;

    /// Up to `limit` jobs.
    ///
    /// # Errors
    /// The store does not answer, or holds a record that cannot be read.
    async fn list(&self, list: JobList, limit: usize) -> Result<Vec<JobRecord>, StoreError>;

    /// Queues a failed job again, in its old place and without a charge.
    ///
    /// # Errors
    /// There is no such job, it has not failed, its input is deleted, or the store failed.
    async fn requeue(&self, job: JobId) -> Result<JobRecord, RequeueError>;

    /// Cancels jobs of the client that wait, as [`super::Submissions::cancel`] does, and returns how many. One call does a bounded
    /// amount of work; when it returns 0, none is left.
    ///
    /// # Errors
    /// The store does not answer.
    async fn purge(&self, client: ClientKey) -> Result<u64, StoreError>;

    /// Gives the client `units` back for today, or takes that many from it if the number is negative. What it has used does not
    /// fall below 0.
    ///
    /// # Errors
    /// The store does not answer.
    async fn adjust_quota(&self, client: ClientKey, units: i64) -> Result<Quota, StoreError>;

    /// Sends the webhook of a job or a batch again, from the first attempt on. False if there is no webhook, or
    /// if the job or batch has not ended yet.
    ///
    /// # Errors
    /// The store does not answer.
    async fn resend(&self, subject: Uuid) -> Result<bool, StoreError>;
}
