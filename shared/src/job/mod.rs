//! A job: its identity, what was asked, where it stands, and the one rendering that callers and webhooks see.

mod batch;
mod fence;
mod id;
mod params;
mod record;
mod status;
mod view;

pub use batch::{BatchCounts, BatchId, BatchRecord, BatchStatus, BatchSummary, BatchUrls, BatchView};
pub use fence::Fence;
pub use id::{IdError, JobId};
pub use params::{EnhanceParams, FaceMode, MetadataPolicy, ModelId, ParamError, Scale};
pub use record::{FaceReport, FaceStatus, InputInfo, JobRecord, JobResult, PictureFormat};
pub use status::{IllegalTransition, Status};
pub use view::{JobUrls, JobView, QueueView, ResultView, UrlBase};
