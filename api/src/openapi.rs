//! The OpenAPI 3.1 document, generated from the handlers.

use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, OpenApi as _, ToSchema};

use crate::routes::documented;

mod webhooks;

pub(crate) use webhooks::with_webhooks;

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Remaster",
        description = "Restores faces in photos and enlarges them, as asynchronous jobs. Free: so many images per \
            network address and UTC day, without accounts. Errors are `application/problem+json`; `code` is stable.",
        license(name = "MIT", identifier = "MIT"),
    ),
    tags(
        (name = "jobs", description = "Images in, PNGs out"),
        (name = "batches", description = "Many images at once"),
        (name = "webhooks", description = "Being told of the end"),
        (name = "service", description = "What the service says of itself"),
    ),
)]
struct Base;

pub(crate) fn base() -> OpenApi {
    Base::openapi()
}

/// The document as it is served at `/openapi.json`.
pub fn document() -> OpenApi {
    with_webhooks(documented().into_openapi())
}

/// The options, in the query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its documentation is used; options are parsed one by one, to name the wrong one")]
pub struct OptionFields {
    /// How much larger, per side.
    #[param(inline, default = 2)]
    scale: Option<remaster_shared::job::Scale>,
    /// An installed upscaler's id, or `auto`.
    #[param(default = "auto")]
    model: Option<String>,
    /// Whether faces are restored: where possible, never, or else refuse.
    #[param(inline, default = "auto")]
    faces: Option<remaster_shared::job::FaceMode>,
    /// 0 keeps the face as enlarged, 1 takes the restored one whole.
    #[param(minimum = 0, maximum = 1, default = 1)]
    face_strength: Option<f64>,
    /// False: Lanczos instead of the network for everything but faces.
    #[param(default = true)]
    background: Option<bool>,
    /// Whether EXIF is kept. Orientation is always applied, the ICC profile always kept.
    #[param(inline, default = "strip")]
    metadata: Option<remaster_shared::job::MetadataPolicy>,
    /// Where to be told of the end, by a signed POST (see Webhooks). Public http(s) addresses only.
    #[param(format = "uri", max_length = 2048)]
    webhook_url: Option<String>,
    /// Base64 of 24 to 64 bytes after `whsec_`: signs the webhook with HMAC too.
    #[param(pattern = "^whsec_")]
    webhook_secret: Option<String>,
}

/// The form of a batch: images, and options as fields.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its documentation is used")]
pub struct BatchForm {
    /// Each in a part of its own. JPEG, PNG, WebP or TIFF; the bytes decide.
    #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<Vec<u8>>,
    #[schema(inline)]
    scale: Option<remaster_shared::job::Scale>,
    model: Option<String>,
    #[schema(inline)]
    faces: Option<remaster_shared::job::FaceMode>,
    #[schema(minimum = 0, maximum = 1)]
    face_strength: Option<f64>,
    background: Option<bool>,
    #[schema(inline)]
    metadata: Option<remaster_shared::job::MetadataPolicy>,
    #[schema(format = "uri", max_length = 2048)]
    webhook_url: Option<String>,
    #[schema(pattern = "^whsec_")]
    webhook_secret: Option<String>,
}

/// The form: the image, and options as fields.
#[derive(ToSchema)]
#[expect(dead_code, reason = "only its documentation is used")]
pub struct UploadForm {
    /// JPEG, PNG, WebP or TIFF; the bytes decide.
    #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
    file: Vec<u8>,
    #[schema(inline)]
    scale: Option<remaster_shared::job::Scale>,
    model: Option<String>,
    #[schema(inline)]
    faces: Option<remaster_shared::job::FaceMode>,
    #[schema(minimum = 0, maximum = 1)]
    face_strength: Option<f64>,
    background: Option<bool>,
    #[schema(inline)]
    metadata: Option<remaster_shared::job::MetadataPolicy>,
    #[schema(format = "uri", max_length = 2048)]
    webhook_url: Option<String>,
    #[schema(pattern = "^whsec_")]
    webhook_secret: Option<String>,
}
