//! The one rendering of a job: the body of the API's answers and of webhooks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::params::EnhanceParams;
use super::record::{FaceReport, InputInfo, JobRecord};
use super::status::Status;
use crate::error::JobError;
use crate::ids::{BatchId, JobId};
use crate::links::{JobUrls, UrlBase};
use crate::webhook::Delivery;

/// A job as callers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// The id of the job.
    pub id: JobId,
    /// The state of the job.
    pub status: Status,
    /// When the job was accepted.
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    /// When the first attempt began; null before that.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    /// When the job reached a final state; null before that.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// When the result is deleted; null while there is no result.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    /// The options of the job, with every default filled in.
    pub params: EnhanceParams,
    /// The uploaded file.
    pub input: InputInfo,
    /// The job's place in the queue; present only while the job is queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueView>,
    /// How much of the work is done, from 0 to 1, measured in tiles.
    pub progress: f64,
    /// How many attempts have begun.
    pub attempt: u32,
    /// The result; present only when the job has succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultView>,
    /// Why the job failed; present only when it has failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    /// The batch that the job belongs to; null for a job that was submitted alone.
    pub batch_id: Option<BatchId>,
    /// The state of the job's webhook; present only if a webhook was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Delivery>,
    /// Where the job, its result and its events are.
    pub urls: JobUrls,
}

/// The place of a job in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    /// The estimated position, counted from 1.
    pub position: u64,
}

/// The result of a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultView {
    /// Where the picture file is.
    pub url: String,
    /// The width of the picture, in pixels.
    pub width: u32,
    /// The height of the picture, in pixels.
    pub height: u32,
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file, in lower-case hexadecimal.
    pub sha256: String,
    /// What was done about faces.
    pub faces: FaceReport,
    /// The precision in which a network enlarged the picture: `fp32`, `fp16` or `bf16`. Absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
}

impl JobRecord {
    /// Renders the job with links that begin with `base`.
    pub fn view(&self, base: &UrlBase) -> JobView {
        let result = self.result.as_ref().filter(|_| self.status == Status::Succeeded).map(|result| ResultView {
            url: base.result(self.id),
            width: result.width,
            height: result.height,
            bytes: result.bytes,
            sha256: result.sha256.clone(),
            faces: result.faces,
            precision: result.precision.clone(),
        });
        JobView {
            id: self.id,
            status: self.status,
            created_at: self.created_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            expires_at: self.expires_at,
            params: self.params.clone(),
            input: self.input.clone(),
            queue: self.position.filter(|_| self.status == Status::Queued).map(|position| QueueView { position }),
            progress: self.progress,
            attempt: self.attempt,
            result,
            error: self.error.clone().filter(|_| self.status == Status::Failed),
            batch_id: self.batch,
            webhook: self.webhook.clone(),
            urls: base.job_urls(self.id),
        }
    }
}
