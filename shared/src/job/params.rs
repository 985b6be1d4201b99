//! The options of a job. Each type parses its own text, and its error says what would have been accepted.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use strum::EnumString;
use utoipa::ToSchema;

use super::denoise::Denoise;
use super::output::{MaxSide, OutputFormat, Quality};

/// The value of an option is not acceptable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {got:?}; it takes {accepts}")]
pub struct ParamError {
    /// The name of the option.
    pub name: &'static str,
    /// The value that was given.
    pub got: String,
    /// What the option accepts, in words.
    pub accepts: &'static str,
}

/// Whether an option that earlier releases did not have is what they did. What they show of a job then stays the same.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The options of a job, with every default filled in: all that a worker needs besides the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnhanceParams {
    /// How much larger the result is, per side.
    pub scale: Scale,
    /// The upscaler that enlarges everything but the restored faces.
    pub model: ModelId,
    /// Whether faces are restored.
    pub faces: FaceMode,
    /// How much of the restored face is blended in, from 0 (the face as the upscaler made it) to 1 (the restored face).
    pub face_strength: f64,
    /// Whether the network enlarges the background. If false, everything but faces is enlarged with a Lanczos filter.
    pub background: bool,
    /// What happens to the picture's EXIF data.
    pub metadata: MetadataPolicy,
    /// The file format of the result. It is left out where it is PNG.
    #[serde(default, skip_serializing_if = "is_default")]
    pub format: OutputFormat,
    /// How much of the picture a JPEG or a WebP keeps, from 1 to 100. It is left out where it is 90.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = u8, minimum = 1, maximum = 100)]
    pub quality: Quality,
    /// The largest side of the result in pixels. A larger result is reduced to it; without one, no result is.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = Option<u32>, minimum = 1, maximum = 65535)]
    pub max_side: Option<MaxSide>,
    /// How much noise the network removes, from 0 to 1. It is left out where the network does what it does by itself.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schema(value_type = Option<f64>, minimum = 0, maximum = 1)]
    pub denoise: Option<Denoise>,
    /// How much of the original's own grain is laid over the result, from 0 to 1. It is left out where it is 0.
    #[serde(default, skip_serializing_if = "is_default")]
    pub grain: f64,
}

impl EnhanceParams {
    /// The defaults, with this upscaler.
    pub fn of(model: ModelId) -> Self {
        Self {
            scale: Scale::default(),
            model,
            faces: FaceMode::default(),
            face_strength: 1.0,
            background: true,
            metadata: MetadataPolicy::default(),
            format: OutputFormat::default(),
            quality: Quality::default(),
            max_side: None,
            denoise: None,
            grain: 0.0,
        }
    }

    /// The network that enlarges the background, as an engine knows it.
    pub fn network(&self) -> ModelId {
        self.model.denoising(self.denoise)
    }

    /// The width and the height of the result for a picture of `width` x `height` pixels.
    pub fn result_size(&self, width: u32, height: u32) -> (u32, u32) {
        let [width, height] = [width, height].map(|side| u128::from(side) * u128::from(self.scale.factor()));
        let longest = width.max(height);
        let most = self.max_side.map_or(longest, |most| longest.min(most.pixels().into()));
        let side = |length: u128| ((2 * length * most + longest) / (2 * longest).max(1)).max(1);
        let side = |length| u32::try_from(side(length)).unwrap_or(u32::MAX);
        (side(width), side(height))
    }
}

/// How much larger the result is, per side. It is a number in JSON. With 1 the picture is restored at its own size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Scale(u32);

impl Scale {
    /// The size of the picture itself.
    pub const X1: Self = Self(1);
    /// Twice as wide and twice as high.
    pub const X2: Self = Self(2);
    /// Three times as wide and three times as high.
    pub const X3: Self = Self(3);
    /// Four times as wide and four times as high.
    pub const X4: Self = Self(4);

    const ALL: [Self; 4] = [Self::X1, Self::X2, Self::X3, Self::X4];
    const ACCEPTS: &str = "1, 2, 3 or 4";

    /// The factor as a number.
    pub fn factor(self) -> u32 {
        self.0
    }
}

impl Default for Scale {
    fn default() -> Self {
        Self::X2
    }
}

impl From<Scale> for u32 {
    fn from(scale: Scale) -> u32 {
        scale.factor()
    }
}

impl TryFrom<u32> for Scale {
    type Error = ParamError;

    fn try_from(factor: u32) -> Result<Self, ParamError> {
        factor.to_string().parse()
    }
}

impl FromStr for Scale {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        let refused = || ParamError { name: "scale", got: text.to_owned(), accepts: Self::ACCEPTS };
        Self::ALL.into_iter().find(|scale| scale.0.to_string() == text).ok_or_else(refused)
    }
}

impl utoipa::PartialSchema for Scale {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Integer)
            .enum_values(Some(Self::ALL.map(Self::factor)))
            .default(Some(Self::default().factor().into()))
            .into()
    }
}

impl ToSchema for Scale {}

/// A model's id, which is also a safe file name: 1 to 64 of `a-z 0-9 . - _`, beginning with a letter or a digit, without
/// two dots in a row.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct ModelId(String);

impl ModelId {
    /// Parses an id.
    ///
    /// # Errors
    /// A text that is not an id.
    pub fn parse(text: &str) -> Result<Self, ParamError> {
        let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let allowed = |c: char| alphanumeric(c) || matches!(c, '.' | '-' | '_');
        let plain = text.starts_with(alphanumeric) && text.chars().all(allowed) && !text.contains("..");
        if plain && text.len() <= 64 {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParamError {
                name: "model",
                got: text.chars().take(80).collect(),
                accepts: "auto or the id of an installed upscaler (GET /models lists them)",
            })
        }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ModelId {
    /// A text that is made of an id.
    pub(super) fn unchecked(text: String) -> Self {
        Self(text)
    }
}

impl TryFrom<String> for ModelId {
    type Error = ParamError;

    fn try_from(text: String) -> Result<Self, ParamError> {
        Self::parse(&text)
    }
}

impl From<ModelId> for String {
    fn from(id: ModelId) -> String {
        id.0
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether faces are restored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = ParamError, parse_err_fn = unknown_face_mode)]
pub enum FaceMode {
    /// Faces are restored if there are any and a face detector and a face restorer are installed.
    #[default]
    Auto,
    /// Faces are enlarged like the rest of the picture.
    Off,
    /// Like `auto`, but the job is refused if no face detector or no face restorer is installed.
    Require,
}

fn unknown_face_mode(got: &str) -> ParamError {
    ParamError { name: "faces", got: got.to_owned(), accepts: "auto, off or require" }
}

/// What happens to the picture's EXIF data. The orientation is always applied, and the ICC profile is always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = ParamError, parse_err_fn = unknown_metadata_policy)]
pub enum MetadataPolicy {
    /// The EXIF data are removed.
    #[default]
    Strip,
    /// The EXIF data are copied to the result.
    Keep,
}

fn unknown_metadata_policy(got: &str) -> ParamError {
    ParamError { name: "metadata", got: got.to_owned(), accepts: "strip or keep" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_id_is_never_a_path() {
        for bad in [
            "",
            ".",
            "..",
            "a..b",
            "../a",
            "a/b",
            "a\\b",
            ".hidden",
            "-flag",
            "_a",
            "A",
            "ü",
            "a b",
            "a\0",
            &"a".repeat(65),
        ] {
            assert!(ModelId::parse(bad).is_err(), "{bad:?}");
        }
        for good in ["realesrgan-x4plus", "a", "gfpgan-1.4", "x_2", "4x", &"a".repeat(64)] {
            assert!(ModelId::parse(good).is_ok(), "{good:?}");
        }
    }

    #[test]
    fn a_refusal_names_the_option_and_what_it_takes() {
        let error = "5".parse::<Scale>().unwrap_err();
        assert_eq!(error.to_string(), r#"scale is "5"; it takes 1, 2, 3 or 4"#);
        let error = "yes".parse::<FaceMode>().unwrap_err();
        assert_eq!(error.to_string(), r#"faces is "yes"; it takes auto, off or require"#);
        let error = "drop".parse::<MetadataPolicy>().unwrap_err();
        assert_eq!(error.to_string(), r#"metadata is "drop"; it takes strip or keep"#);
    }

    #[test]
    fn options_are_read_by_their_names_in_json() {
        for mode in [FaceMode::Auto, FaceMode::Off, FaceMode::Require] {
            assert_eq!(serde_json::to_value(mode).unwrap().as_str().unwrap().parse(), Ok(mode));
        }
        for policy in [MetadataPolicy::Strip, MetadataPolicy::Keep] {
            assert_eq!(serde_json::to_value(policy).unwrap().as_str().unwrap().parse(), Ok(policy));
        }
    }

    #[test]
    fn scale_is_a_number_in_json() {
        assert_eq!(serde_json::to_string(&Scale::X4).unwrap(), "4");
        assert!(["0", "5"].iter().all(|factor| serde_json::from_str::<Scale>(factor).is_err()));
    }

    #[test]
    fn options_that_earlier_releases_did_not_have_are_the_defaults() {
        let text = r#"{"scale":2,"model":"a","faces":"auto","face_strength":1.0,"background":true,"metadata":"strip"}"#;
        let defaults = EnhanceParams::of(ModelId::parse("a").unwrap());
        assert_eq!(serde_json::from_str::<EnhanceParams>(text).unwrap(), defaults);
        assert_eq!(serde_json::to_string(&defaults).unwrap(), text);
    }

    #[test]
    fn a_result_is_as_large_as_the_scale_makes_it_or_as_its_largest_side_allows() {
        let params = |scale: u32, max_side: Option<&str>| {
            let (scale, max_side) = (scale.try_into().unwrap(), max_side.map(|side| side.parse().unwrap()));
            EnhanceParams { scale, max_side, ..EnhanceParams::of(ModelId::parse("a").unwrap()) }
        };
        assert_eq!(params(3, None).result_size(40, 30), (120, 90));
        assert_eq!(params(4, Some("160")).result_size(40, 30), (160, 120));
        assert_eq!(params(4, Some("100")).result_size(40, 30), (100, 75));
        assert_eq!(params(4, Some("100")).result_size(30, 40), (75, 100));
        assert_eq!(params(4, Some("65535")).result_size(40, 30), (160, 120));
        assert_eq!(params(2, Some("7")).result_size(1000, 1), (7, 1));
        assert_eq!(params(4, None).result_size(u32::MAX, 1), (u32::MAX, 4));
    }
}
