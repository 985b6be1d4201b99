//! A job as the store keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{BatchId, EnhanceParams, JobId, Status};
use crate::blob_key::OutputName;
use crate::client::ClientKey;
use crate::error::JobError;
use crate::webhook::Delivery;

/// The accepted picture formats, recognised by their bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PictureFormat {
    Jpeg,
    Png,
    Webp,
    Tiff,
}

/// What was uploaded, read from the file's header. Width and height are as stored, before any EXIF orientation.
///
/// Of a file in a batch that was refused the format is `None` and the sides are 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputInfo {
    pub filename: Option<String>,
    pub format: Option<PictureFormat>,
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
}

/// What a finished job made: a PNG of `width` x `height` pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobResult {
    pub width: u32,
    pub height: u32,
    pub bytes: u64,
    /// SHA-256 of the PNG's bytes, in hex.
    pub sha256: String,
    pub faces: FaceReport,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaceReport {
    pub found: u32,
    pub restored: u32,
    pub status: FaceStatus,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaceStatus {
    Restored,
    NoneFound,
    Off,
    ModelNotInstalled,
}

/// Everything the store knows of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    pub id: JobId,
    pub client: ClientKey,
    pub status: Status,
    pub params: EnhanceParams,
    pub input: InputInfo,
    pub created_at: Timestamp,
    /// When its first attempt began.
    pub started_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
    /// When its result goes.
    pub expires_at: Option<Timestamp>,
    /// Attempts begun so far.
    pub attempt: u32,
    /// 0..=1.
    pub progress: f64,
    pub cancel_requested: bool,
    /// Place in line, from 1; only while queued, and only from [`Store::get`](crate::store::Store::get).
    pub position: Option<u64>,
    pub result: Option<JobResult>,
    /// Which output the result is in, from success until it is deleted.
    pub output: Option<OutputName>,
    pub error: Option<JobError>,
    /// The batch it belongs to.
    pub batch: Option<BatchId>,
    /// How its webhook stands, if it has one; only from [`Store::get`](crate::store::Store::get).
    pub webhook: Option<Delivery>,
}
