//! The OpenAPI 3.1 document, generated from the handlers.

use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, OpenApi as _, ToSchema};

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
    components(schemas(remaster_shared::job::BatchSummary)),
    tags(
        (name = "jobs", description = "Images in, PNGs out"),
        (name = "batches", description = "Many images at once"),
        (name = "webhooks", description = "Being told of the end"),
        (name = "service", description = "What the service says of itself"),
    ),
)]
struct Base;

/// Bytes that are no text: a picture, or a ZIP of them.
pub struct Binary;

impl utoipa::PartialSchema for Binary {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .format(Some(utoipa::openapi::SchemaFormat::KnownFormat(utoipa::openapi::KnownFormat::Binary)))
            .into()
    }
}

impl ToSchema for Binary {}

pub(crate) fn base() -> OpenApi {
    Base::openapi()
}

/// The options, in the query.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(dead_code, reason = "only its documentation is used; options are parsed one by one, to name the wrong one")]
pub struct OptionFields {
    /// How much larger, per side.
    #[param(inline)]
    scale: Option<remaster_shared::job::Scale>,
    /// An installed upscaler's id, or `auto`.
    #[param(default = "auto")]
    model: Option<String>,
    /// Whether faces are restored: where possible (`auto`, the default), never, or else refuse.
    #[param(inline)]
    faces: Option<remaster_shared::job::FaceMode>,
    /// 0 keeps the face as enlarged, 1 takes the restored one whole.
    #[param(minimum = 0, maximum = 1, default = 1)]
    face_strength: Option<f64>,
    /// False: Lanczos instead of the network for everything but faces.
    #[param(default = true)]
    background: Option<bool>,
    /// Whether EXIF is kept; by default it is not. Orientation is always applied, the ICC profile always kept.
    #[param(inline)]
    metadata: Option<remaster_shared::job::MetadataPolicy>,
    /// Where to be told of the end, by a signed POST (see Webhooks). Public http(s) addresses only.
    #[param(format = "uri", max_length = 2048)]
    webhook_url: Option<String>,
    /// Base64 of 24 to 64 bytes after `whsec_`: signs the webhook with HMAC too.
    #[param(pattern = "^whsec_")]
    webhook_secret: Option<String>,
}

/// A form: what is in `file`, and options as fields, the same in every form.
macro_rules! form {
    ($(#[$about:meta])* $name:ident { $(#[$file:meta])* $type:ty }) => {
        $(#[$about])*
        #[derive(ToSchema)]
        #[expect(dead_code, reason = "only its documentation is used")]
        pub struct $name {
            $(#[$file])*
            file: $type,
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
    };
}

form! {
    /// The form of a batch: images, and options as fields.
    BatchForm {
        /// Each in a part of its own. JPEG, PNG, WebP or TIFF; the bytes decide.
        #[schema(value_type = Vec<String>, format = Binary, content_media_type = "application/octet-stream")]
        Vec<Vec<u8>>
    }
}

form! {
    /// The form: the image, and options as fields.
    UploadForm {
        /// JPEG, PNG, WebP or TIFF; the bytes decide.
        #[schema(value_type = String, format = Binary, content_media_type = "application/octet-stream")]
        Vec<u8>
    }
}
