//! The one rendering of a job: the body of the API and of the webhook.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BatchId, BatchUrls, EnhanceParams, FaceReport, InputInfo, JobId, JobRecord, Status};
use crate::error::JobError;
use crate::webhook::Delivery;

/// Where this service is reached: the prefix of every link, without a trailing slash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UrlBase(String);

impl UrlBase {
    pub fn new(base: &str) -> Self {
        Self(base.trim_end_matches('/').to_owned())
    }

    pub fn job(&self, id: JobId) -> String {
        format!("{}/jobs/{id}", self.0)
    }

    pub fn result(&self, id: JobId) -> String {
        format!("{}/jobs/{id}/result", self.0)
    }

    pub fn events(&self, id: JobId) -> String {
        format!("{}/jobs/{id}/events", self.0)
    }

    pub fn batch(&self, id: BatchId) -> BatchUrls {
        let itself = format!("{}/batches/{id}", self.0);
        BatchUrls { events: format!("{itself}/events"), results: format!("{itself}/results.zip"), itself }
    }
}

/// A job as callers see it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    pub id: JobId,
    pub status: Status,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
    /// When the result goes.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub expires_at: Option<Timestamp>,
    pub params: EnhanceParams,
    pub input: InputInfo,
    /// Only while queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueueView>,
    /// 0..=1, by tiles done.
    pub progress: f64,
    /// Attempts begun so far.
    pub attempt: u32,
    /// Only when succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<ResultView>,
    /// Only when failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<JobError>,
    pub batch_id: Option<BatchId>,
    /// How its webhook stands, where one was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub webhook: Option<Delivery>,
    pub urls: JobUrls,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct QueueView {
    /// Place in line, from 1.
    pub position: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResultView {
    pub url: String,
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
    /// SHA-256 of the PNG, in hex.
    pub sha256: String,
    pub faces: FaceReport,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct JobUrls {
    #[serde(rename = "self")]
    pub itself: String,
    pub result: String,
    /// Server-Sent Events.
    pub events: String,
}

impl JobRecord {
    pub fn view(&self, base: &UrlBase) -> JobView {
        let result = self.result.as_ref().filter(|_| self.status == Status::Succeeded).map(|result| ResultView {
            url: base.result(self.id),
            width: result.width,
            height: result.height,
            bytes: result.bytes,
            sha256: result.sha256.clone(),
            faces: result.faces,
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
            urls: JobUrls { itself: base.job(self.id), result: base.result(self.id), events: base.events(self.id) },
        }
    }
}
