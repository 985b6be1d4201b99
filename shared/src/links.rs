//! The absolute URLs of jobs and batches, as they appear in answers and in webhooks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{BatchId, JobId};

/// The prefix of every link: scheme, host and possibly a path, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UrlBase(String);

impl UrlBase {
    /// Removes trailing slashes from `base`.
    pub fn new(base: &str) -> Self {
        Self(base.trim_end_matches('/').to_owned())
    }

    /// The URL of a job.
    pub fn job(&self, id: JobId) -> String {
        format!("{}/jobs/{id}", self.0)
    }

    /// The URL of a job's result, which is a PNG.
    pub fn result(&self, id: JobId) -> String {
        format!("{}/jobs/{id}/result", self.0)
    }

    /// The URL of a job's stream of Server-Sent Events.
    pub fn events(&self, id: JobId) -> String {
        format!("{}/jobs/{id}/events", self.0)
    }

    /// All URLs of a job.
    pub fn job_urls(&self, id: JobId) -> JobUrls {
        JobUrls { self_url: self.job(id), result: self.result(id), events: self.events(id) }
    }

    /// All URLs of a batch.
    pub fn batch(&self, id: BatchId) -> BatchUrls {
        let self_url = format!("{}/batches/{id}", self.0);
        BatchUrls { events: format!("{self_url}/events"), results: format!("{self_url}/results.zip"), self_url }
    }
}

/// The URLs of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobUrls {
    /// The job itself.
    #[serde(rename = "self")]
    pub self_url: String,
    /// The enhanced picture, a PNG.
    pub result: String,
    /// The job's changes as Server-Sent Events.
    pub events: String,
}

/// The URLs of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BatchUrls {
    /// The batch itself.
    #[serde(rename = "self")]
    pub self_url: String,
    /// The batch's changes as Server-Sent Events.
    pub events: String,
    /// A ZIP file of the finished pictures.
    pub results: String,
}
