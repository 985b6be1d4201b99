//! The options of a submit, each described once: its name, what it does, what it takes and its default.
//!
//! From these descriptions come the parser of the query and of forms, the refusal of an unknown option, the query parameters
//! of the OpenAPI document and the fields of its forms.

use remaster_shared::job::{FaceMode, MetadataPolicy, OutputFormat, Scale};
use utoipa::PartialSchema;
use utoipa::openapi::schema::{Object, Schema};
use utoipa::openapi::{KnownFormat, ObjectBuilder, RefOr, SchemaFormat, Type};

/// Every option, in the order in which they are documented.
pub const OPTIONS: [&OptionSpec; 13] = [
    &SCALE,
    &MODEL,
    &FACES,
    &FACE_STRENGTH,
    &BACKGROUND,
    &METADATA,
    &FORMAT,
    &QUALITY,
    &MAX_SIDE,
    &DENOISE,
    &GRAIN,
    &WEBHOOK_URL,
    &WEBHOOK_SECRET,
];

/// The description of one option.
pub struct OptionSpec {
    /// Its name in the query and in a form.
    pub name: &'static str,
    /// What it does, as one or two sentences for callers.
    pub description: &'static str,
    /// The value of a request that leaves it out, as a caller would write it. Without one, the option is off.
    pub default: Option<&'static str>,
    /// The values that it takes.
    pub takes: Takes,
}

/// The values that an option takes, as a schema.
pub enum Takes {
    /// One of a few values. Their type has a schema of its own, which also documents the default.
    Choice(fn() -> RefOr<Schema>),
    /// A value of a JSON type, within bounds. The default is documented beside them.
    Value(fn() -> Object),
}

/// A number from 0 to 1.
fn fraction() -> Object {
    ObjectBuilder::new()
        .schema_type(Type::Number)
        .format(Some(SchemaFormat::KnownFormat(KnownFormat::Double)))
        .minimum(Some(0))
        .maximum(Some(1))
        .build()
}

/// How much the picture is enlarged.
pub const SCALE: OptionSpec = OptionSpec {
    name: "scale",
    description: "How many times larger the result is, per side. With 1 the picture is restored at its own size.",
    default: Some("2"),
    takes: Takes::Choice(Scale::schema),
};

/// The network that enlarges everything but faces.
pub const MODEL: OptionSpec = OptionSpec {
    name: "model",
    description: "The id of an installed upscaler (`GET /models` lists them), or `auto` to let the service choose.",
    default: Some("auto"),
    takes: Takes::Value(|| ObjectBuilder::new().schema_type(Type::String).build()),
};

/// Whether faces are restored.
pub const FACES: OptionSpec = OptionSpec {
    name: "faces",
    description: "Whether faces are restored. `auto`, the default, restores them where a face model is installed; `off` leaves \
        them as they are; `require` refuses the request where no face model is installed.",
    default: Some("auto"),
    takes: Takes::Choice(FaceMode::schema),
};

/// The weight of the restored face in the result.
pub const FACE_STRENGTH: OptionSpec = OptionSpec {
    name: "face_strength",
    description: "How strongly faces are restored. 0 keeps the face as it was enlarged, and 1 takes the restored face alone.",
    default: Some("1"),
    takes: Takes::Value(fraction),
};

/// Whether the background goes through the network.
pub const BACKGROUND: OptionSpec = OptionSpec {
    name: "background",
    description: "When this is `false`, everything but faces is enlarged by Lanczos resampling instead of the network.",
    default: Some("true"),
    takes: Takes::Value(|| ObjectBuilder::new().schema_type(Type::Boolean).build()),
};

/// Whether EXIF is kept.
pub const METADATA: OptionSpec = OptionSpec {
    name: "metadata",
    description: "Whether the EXIF and XMP metadata is kept. `strip`, the default, removes it. In both cases the orientation is \
        applied to the picture and the ICC profile is kept.",
    default: Some("strip"),
    takes: Takes::Choice(MetadataPolicy::schema),
};

/// The file format of the result.
pub const FORMAT: OptionSpec = OptionSpec {
    name: "format",
    description: "The file format of the result. `png`, the default, keeps every pixel and 16 bits where the upload has them; \
        `webp` and `jpeg` have 8 bits. A JPEG shows on white what is transparent.",
    default: Some("png"),
    takes: Takes::Choice(OutputFormat::schema),
};

/// How much of the picture a lossy file keeps.
pub const QUALITY: OptionSpec = OptionSpec {
    name: "quality",
    description: "How much of the picture a JPEG or a WebP keeps. A WebP of 100 keeps every pixel. A PNG always does.",
    default: Some("90"),
    takes: Takes::Value(|| ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(100)).build()),
};

/// The largest side of the result.
pub const MAX_SIDE: OptionSpec = OptionSpec {
    name: "max_side",
    description: "The largest side of the result in pixels. A result that would be larger is reduced to it, after it was enlarged.",
    default: None,
    takes: Takes::Value(|| {
        ObjectBuilder::new().schema_type(Type::Integer).minimum(Some(1)).maximum(Some(65_535)).build()
    }),
};

/// How much noise is removed.
pub const DENOISE: OptionSpec = OptionSpec {
    name: "denoise",
    description: "How much noise the network removes: 1 is what it does by itself, 0 leaves the most noise and grain. It is for networks that \
        can do more or less of it, such as `realesr-general-x4v3` with its weak denoiser, both installed; `auto` takes one then.",
    default: None,
    takes: Takes::Value(|| ObjectBuilder::new().schema_type(Type::Number).minimum(Some(0)).maximum(Some(1)).build()),
};

/// How much of the original's grain the result has.
pub const GRAIN: OptionSpec = OptionSpec {
    name: "grain",
    description: "How much of the original's own grain and noise is laid over the result, where the picture is smooth. 0, the default, leaves \
        the result as the networks made it.",
    default: Some("0"),
    takes: Takes::Value(fraction),
};

/// Where the end is reported.
pub const WEBHOOK_URL: OptionSpec = OptionSpec {
    name: "webhook_url",
    description: "Where the service sends a signed POST when the job or the batch has ended (see Webhooks). Only public http \
        and https addresses are allowed.",
    default: None,
    takes: Takes::Value(|| address().build()),
};

/// The schema of an address on the web.
pub fn address() -> ObjectBuilder {
    let format = SchemaFormat::Custom("uri".to_owned());
    ObjectBuilder::new().schema_type(Type::String).format(Some(format)).max_length(Some(2048))
}

/// The secret for HMAC signatures.
pub const WEBHOOK_SECRET: OptionSpec = OptionSpec {
    name: "webhook_secret",
    description: "`whsec_` and 24 to 64 bytes in base64. With a secret, the webhook is also signed with HMAC-SHA256.",
    default: None,
    takes: Takes::Value(|| ObjectBuilder::new().schema_type(Type::String).pattern(Some("^whsec_")).build()),
};
