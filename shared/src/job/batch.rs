//! A batch: jobs that were submitted together and are told of together.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{JobRecord, JobView, Status, UrlBase};
use crate::client::ClientKey;
use crate::webhook::Delivery;

/// A version 4 UUID. Like a job's it is a capability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = String, format = Uuid)]
pub struct BatchId(pub Uuid);

impl BatchId {
    pub fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl FromStr for BatchId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, uuid::Error> {
        text.parse().map(Self)
    }
}

impl fmt::Display for BatchId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything the store knows of a batch. What it is as a whole follows from its jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchRecord {
    pub id: BatchId,
    pub client: ClientKey,
    pub created_at: Timestamp,
    /// Whether the rest of it was canceled as a whole.
    pub cancel_requested: bool,
    /// In the order they were sent.
    pub jobs: Vec<JobRecord>,
    /// How its webhook stands, if there is one.
    pub webhook: Option<Delivery>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BatchStatus {
    Open,
    /// Every job is.
    Finished,
    /// Canceled by its caller, and every job has ended.
    Canceled,
}

impl BatchStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            BatchStatus::Open => "open",
            BatchStatus::Finished => "finished",
            BatchStatus::Canceled => "canceled",
        }
    }
}

/// How many jobs stand where. One whose result has expired succeeded.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchCounts {
    pub queued: u64,
    pub processing: u64,
    pub succeeded: u64,
    pub failed: u64,
    pub canceled: u64,
}

impl BatchRecord {
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

    pub fn status(&self) -> BatchStatus {
        match self.finished_at() {
            None => BatchStatus::Open,
            Some(_) if self.cancel_requested => BatchStatus::Canceled,
            Some(_) => BatchStatus::Finished,
        }
    }

    /// When its last job ended; `None` while one has not.
    pub fn finished_at(&self) -> Option<Timestamp> {
        self.jobs.iter().map(|job| job.finished_at).max_by_key(|at| at.unwrap_or(Timestamp::MAX)).flatten()
    }

    /// 0..=1: what has ended is done, whatever its end.
    pub fn progress(&self) -> f64 {
        let done = |job: &JobRecord| if job.status.is_terminal() { 1.0 } else { job.progress };
        self.jobs.iter().map(done).sum::<f64>() / self.jobs.len().max(1) as f64
    }

    pub fn summary(&self) -> BatchSummary {
        BatchSummary { id: self.id, status: self.status(), counts: self.counts(), progress: self.progress() }
    }

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
    pub id: BatchId,
    pub status: BatchStatus,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When its last job ended.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// When the first of its results goes.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// Files, those refused at the door too.
    pub total: u64,
    pub counts: BatchCounts,
    /// 0..=1, over all its jobs.
    pub progress: f64,
    /// In the order they were sent; without their places in line, which `GET /jobs/{id}` tells.
    pub jobs: Vec<JobView>,
    /// How its webhook stands, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Delivery>,
    pub urls: BatchUrls,
}

/// A batch without its jobs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct BatchSummary {
    pub id: BatchId,
    pub status: BatchStatus,
    pub counts: BatchCounts,
    pub progress: f64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchUrls {
    #[serde(rename = "self")]
    pub itself: String,
    /// Server-Sent Events.
    pub events: String,
    /// A ZIP of the finished pictures.
    pub results: String,
}
