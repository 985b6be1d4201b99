//! A batch: jobs that were submitted together, with one webhook for all of them.
//!
//! The store keeps which jobs belong to a batch and whether the batch was canceled. Everything else here is derived from
//! the jobs.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;
use utoipa::ToSchema;

use super::record::JobRecord;
use super::status::Status;
use super::view::JobView;
use crate::client::ClientKey;
use crate::ids::BatchId;
use crate::links::{BatchUrls, UrlBase};
use crate::webhook::Delivery;

/// Everything that the store knows about a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchRecord {
    /// The id of the batch.
    pub id: BatchId,
    /// The client that was charged for its jobs.
    pub client: ClientKey,
    /// When the batch was accepted.
    pub created_at: Timestamp,
    /// Whether the caller has canceled the batch as a whole.
    pub cancel_requested: bool,
    /// The jobs, in the order in which their files were sent.
    pub jobs: Vec<JobRecord>,
    /// The state of the batch's webhook, if it has one.
    pub webhook: Option<Delivery>,
}

/// The state of a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum BatchStatus {
    /// At least one job has not ended.
    Open,
    /// Every job has ended.
    Finished,
    /// The caller has canceled the batch, and every job has ended.
    Canceled,
}

impl BatchStatus {
    /// The name of the state in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// How many jobs of a batch are in each state. A job whose result has expired counts as succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchCounts {
    /// Jobs that wait for a worker.
    pub queued: u64,
    /// Jobs that a worker is processing.
    pub processing: u64,
    /// Jobs that have succeeded.
    pub succeeded: u64,
    /// Jobs that have failed.
    pub failed: u64,
    /// Jobs that were canceled.
    pub canceled: u64,
}

impl BatchRecord {
    /// How many jobs are in each state.
    pub fn counts(&self) -> BatchCounts {
        let mut counts = BatchCounts::default();
        for job in &self.jobs {
            *match job.status {
                Status::Queued => &mut counts.queued,
                Status::Processing => &mut counts.processing,
                Status::Succeeded | Status::Expired => &mut counts.succeeded,
                Status::Failed => &mut counts.failed,
                Status::Canceled => &mut counts.canceled,
            } += 1;
        }
        counts
    }

    /// The state that follows from the jobs.
    pub fn status(&self) -> BatchStatus {
        match self.finished_at() {
            None => BatchStatus::Open,
            Some(_) if self.cancel_requested => BatchStatus::Canceled,
            Some(_) => BatchStatus::Finished,
        }
    }

    /// When the last job ended; `None` while one of them has not.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.jobs.iter().map(|job| job.finished_at).max_by_key(|at| at.unwrap_or(Timestamp::MAX)).flatten()
    }

    /// How much of the work is done, from 0 to 1. A job that has ended counts as 1, however it ended.
    pub fn progress(&self) -> f64 {
        let done = |job: &JobRecord| if job.status.is_terminal() { 1.0 } else { job.progress };
        self.jobs.iter().map(done).sum::<f64>() / self.jobs.len().max(1) as f64
    }

    /// The batch without its jobs.
    pub fn summary(&self) -> BatchSummary {
        BatchSummary { id: self.id, status: self.status(), counts: self.counts(), progress: self.progress() }
    }

    /// Renders the batch and its jobs with links that begin with `base`.
    pub fn view(&self, base: &UrlBase) -> BatchView {
        let BatchSummary { id, status, counts, progress } = self.summary();
        BatchView {
            id,
            status,
            created_at: self.created_at,
            finished_at: self.finished_at(),
            expires_at: self.jobs.iter().filter_map(|job| job.expires_at).min(),
            total: self.jobs.len() as u64,
            counts,
            progress,
            jobs: self.jobs.iter().map(|job| job.view(base)).collect(),
            webhook: self.webhook.clone(),
            urls: base.batch(id),
        }
    }
}

/// A batch as callers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchView {
    /// The id of the batch.
    pub id: BatchId,
    /// The state of the batch.
    pub status: BatchStatus,
    /// When the batch was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the last job ended; null before that.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// When the first of the results is deleted; null while there is no result.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// How many files were sent, including those that were refused.
    pub total: u64,
    /// How many jobs are in each state.
    pub counts: BatchCounts,
    /// How much of the work is done over all jobs, from 0 to 1.
    pub progress: f64,
    /// The jobs in the order in which their files were sent, without their places in the queue; `GET /jobs/{id}` shows
    /// the place. The webhook of a batch of more than 100 files leaves them out.
    pub jobs: Vec<JobView>,
    /// The state of the batch's webhook; present only if a webhook was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Delivery>,
    /// Where the batch, its events and its results are.
    pub urls: BatchUrls,
}

/// A batch without its jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchSummary {
    /// The id of the batch.
    pub id: BatchId,
    /// The state of the batch.
    pub status: BatchStatus,
    /// How many jobs are in each state.
    pub counts: BatchCounts,
    /// How much of the work is done over all jobs, from 0 to 1.
    pub progress: f64,
}
