//! The OpenAPI 3.1 document. It is generated from the handlers; here are the parts that no single handler owns.

mod binary;
mod forms;
mod problems;
mod responses;
mod webhooks;

use utoipa::OpenApi as _;
use utoipa::openapi::OpenApi;

pub use binary::Binary;
pub use forms::{BatchForm, ImageUrl, ImageUrls, OptionParams, UploadForm};
pub use problems::{
    BatchRefused, EnhanceRefused, JobRefused, LookupRefused, MetricsRefused, NoResult, NoZip, StoreRefused,
};
pub use responses::{Accepted, Canceled, EnhancedPicture, EventStream, Versioned};
pub use webhooks::with_webhooks;

// The schemas that are listed are those that only the response types of this folder refer to.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Remaster",
        description = "Restores faces in photos and enlarges them, as asynchronous jobs. The service is free and needs no \
            account; each network address may submit a limited number of images per UTC day. Errors are \
            `application/problem+json`, and their `code` is stable.",
        license(name = "MIT", identifier = "MIT"),
    ),
    components(schemas(
        remaster_shared::job::BatchSummary,
        remaster_shared::job::BatchView,
        remaster_shared::job::JobView,
        crate::problem::ProblemBody,
        crate::render::sse::ServerSentEvent,
    )),
    tags(
        (name = "jobs", description = "Submit an image, follow its job and fetch the picture that comes of it."),
        (name = "batches", description = "Submit many images in one request, and handle them together."),
        (name = "webhooks", description = "Have the service report the end of a job or a batch."),
        (name = "service", description = "What the service says about itself."),
    ),
)]
struct Base;

/// The document without the routes.
pub fn base() -> OpenApi {
    Base::openapi()
}
