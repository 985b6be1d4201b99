//! A job as the store keeps it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::params::EnhanceParams;
use super::status::Status;
use crate::blob_key::{BlobKey, OutputName};
use crate::client::ClientKey;
use crate::error::JobError;
use crate::ids::{BatchId, JobId};
use crate::webhook::Delivery;

/// An accepted picture format. It is recognised by the file's first bytes, never by its name or declared type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PictureFormat {
    /// JPEG.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    Webp,
    /// TIFF.
    Tiff,
    /// GIF.
    Gif,
    /// BMP.
    Bmp,
    /// HEIC: HEIF whose picture is coded as HEVC.
    Heic,
}

/// The uploaded file, as its header describes it.
///
/// A file of a batch that was refused has no `format`, and its `width` and `height` are 0.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputInfo {
    /// The name that the caller gave the file.
    pub filename: Option<String>,
    /// The format that the file's bytes show.
    pub format: Option<PictureFormat>,
    /// The width in pixels as stored, before any EXIF orientation is applied. A HEIC is turned as it is shown.
    pub width: u32,
    /// The height in pixels, likewise.
    pub height: u32,
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// How many pictures the file has, where it has more than one: an animation, or the pages of a TIFF. The first is used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frames: Option<u32>,
    /// Whether its pixels have an alpha channel, as far as the header tells. It is left out where they have none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub alpha: bool,
}

/// The picture file that a successful attempt made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobResult {
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// The size of the file, in bytes.
    pub bytes: u64,
    /// The SHA-256 of the file's bytes, in lower-case hexadecimal.
    pub sha256: String,
    /// What was done about faces.
    pub faces: FaceReport,
    /// The precision in which the picture was enlarged, such as `fp32`; `None` where no network enlarged it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<String>,
}

/// What was done about the faces in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FaceReport {
    /// How many faces were found.
    pub found: u32,
    /// How many of them were restored.
    pub restored: u32,
    /// Whether faces were restored, or why not.
    pub status: FaceStatus,
}

/// Whether faces were restored, or why not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaceStatus {
    /// Faces were found and restored.
    Restored,
    /// No face was found.
    NoneFound,
    /// The job was submitted with `faces=off`.
    Off,
    /// The network is for drawings, whose faces are restored with `faces=require` only.
    Drawing,
    /// The worker had no face detector or no face restorer.
    ModelNotInstalled,
}

/// Everything that the store knows about a job.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRecord {
    /// The id of the job.
    pub id: JobId,
    /// The client that was charged for it.
    pub client: ClientKey,
    /// The state of the job.
    pub status: Status,
    /// The options, with every default filled in.
    pub params: EnhanceParams,
    /// The uploaded file.
    pub input: InputInfo,
    /// When the job was accepted.
    pub created_at: Timestamp,
    /// When the first attempt began.
    pub started_at: Option<Timestamp>,
    /// When the job reached a final state.
    pub finished_at: Option<Timestamp>,
    /// When the result is deleted.
    pub expires_at: Option<Timestamp>,
    /// How many attempts have been claimed. A claim that no heartbeat followed is taken back.
    pub attempt: u32,
    /// How much of the work is done, from 0 to 1.
    pub progress: f64,
    /// Whether the caller has canceled the job while it was being processed.
    pub cancel_requested: bool,
    /// The estimated place in the queue, counted from 1. It is known only while the job is queued, and only when the job
    /// is read alone (`Jobs::get` of the store crate).
    pub position: Option<u64>,
    /// The result of a job that has succeeded.
    pub result: Option<JobResult>,
    /// Which output holds the result, from success until it is deleted.
    pub output: Option<OutputName>,
    /// Why the job failed.
    pub error: Option<JobError>,
    /// The batch that the job belongs to.
    pub batch: Option<BatchId>,
    /// The state of the job's webhook, if it has one. It is known only when the job is read alone (`Jobs::get` of the store crate).
    pub webhook: Option<Delivery>,
}

impl JobRecord {
    /// Where the result is stored; `None` while there is none, and once it is deleted.
    pub fn output_key(&self) -> Option<BlobKey> {
        self.output.map(|name| BlobKey::Output(self.id, name))
    }
}
