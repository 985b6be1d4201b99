//! What a caller may ask for. Each value parses itself and says, when it cannot, what it accepts.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An option that is not acceptable: which, what it was, what it takes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name} is {got:?}; it takes {accepts}")]
pub struct ParamError {
    pub name: &'static str,
    pub got: String,
    pub accepts: &'static str,
}

/// The options of one job, all resolved: what a worker needs to know besides the picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct EnhanceParams {
    pub scale: Scale,
    /// The upscaler that does the background.
    pub model: ModelId,
    pub faces: FaceMode,
    /// 0 keeps the face as it was upscaled, 1 takes the restored one whole.
    pub face_strength: f64,
    /// False: everything but faces is enlarged by Lanczos instead of the network.
    pub background: bool,
    pub metadata: MetadataPolicy,
}

/// How much larger the result is, per side. `2` or `4` in JSON and on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub enum Scale {
    #[default]
    X2,
    X4,
}

impl Scale {
    pub fn factor(self) -> u32 {
        match self {
            Scale::X2 => 2,
            Scale::X4 => 4,
        }
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
        match factor {
            2 => Ok(Scale::X2),
            4 => Ok(Scale::X4),
            other => Err(ParamError { name: "scale", got: other.to_string(), accepts: "2 or 4" }),
        }
    }
}

impl FromStr for Scale {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        match text {
            "2" => Ok(Scale::X2),
            "4" => Ok(Scale::X4),
            other => Err(ParamError { name: "scale", got: other.to_owned(), accepts: "2 or 4" }),
        }
    }
}

impl utoipa::PartialSchema for Scale {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::Integer)
            .enum_values(Some([2, 4]))
            .default(Some(2.into()))
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum FaceMode {
    /// Where there are faces and a face model.
    #[default]
    Auto,
    Off,
    /// Refused where no face model is installed.
    Require,
}

impl FromStr for FaceMode {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        match text {
            "auto" => Ok(FaceMode::Auto),
            "off" => Ok(FaceMode::Off),
            "require" => Ok(FaceMode::Require),
            other => Err(ParamError { name: "faces", got: other.to_owned(), accepts: "auto, off or require" }),
        }
    }
}

/// What becomes of the picture's EXIF. The orientation is always applied and the ICC profile always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MetadataPolicy {
    #[default]
    Strip,
    Keep,
}

impl FromStr for MetadataPolicy {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        match text {
            "strip" => Ok(MetadataPolicy::Strip),
            "keep" => Ok(MetadataPolicy::Keep),
            other => Err(ParamError { name: "metadata", got: other.to_owned(), accepts: "strip or keep" }),
        }
    }
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
        let error = "3".parse::<Scale>().unwrap_err();
        assert_eq!(error.to_string(), r#"scale is "3"; it takes 2 or 4"#);
        assert!("yes".parse::<FaceMode>().is_err());
        assert!("drop".parse::<MetadataPolicy>().is_err());
    }

    #[test]
    fn scale_is_a_number_in_json() {
        assert_eq!(serde_json::to_string(&Scale::X4).unwrap(), "4");
        assert!(serde_json::from_str::<Scale>("3").is_err());
    }
}
