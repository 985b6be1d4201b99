//! A job: what was asked for, its state, and the one rendering that callers and webhooks see.

mod batch;
mod denoise;
mod output;
mod params;
mod record;
mod skill;
mod status;
mod view;

pub use crate::fence::Fence;
pub use crate::ids::{BatchId, IdError, JobId};
pub use crate::links::{BatchUrls, JobUrls, UrlBase};
pub use batch::{BatchCounts, BatchRecord, BatchStatus, BatchSummary, BatchView};
pub use denoise::Denoise;
pub use output::{MaxSide, OutputFormat, Quality};
pub use params::{EnhanceParams, FaceMode, MetadataPolicy, ModelId, ParamError, Scale};
pub use record::{FaceReport, FaceStatus, InputInfo, JobRecord, JobResult, PictureFormat};
pub use skill::Skill;
pub use status::{IllegalTransition, Status};
pub use view::{JobView, QueueView, ResultView};
