//! The file that a job makes: its format, its quality and its largest side.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use strum::EnumString;
use utoipa::ToSchema;

use super::params::ParamError;

/// The file format of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, ToSchema, EnumString)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = ParamError, parse_err_fn = unknown_format)]
pub enum OutputFormat {
    /// PNG: every pixel, in the depth of the upload.
    #[default]
    Png,
    /// WebP of 8 bits. With a quality of 100 every pixel is kept.
    Webp,
    /// JPEG of 8 bits. What is transparent is shown on white.
    Jpeg,
}

fn unknown_format(got: &str) -> ParamError {
    ParamError { name: "format", got: got.to_owned(), accepts: "png, webp or jpeg" }
}

impl OutputFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Png, Self::Webp, Self::Jpeg];

    /// The extension of a file of this format, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Webp => "webp",
            Self::Jpeg => "jpg",
        }
    }

    /// The format of files with this extension, `jpeg` among them, in any case.
    pub fn of_extension(extension: &str) -> Option<Self> {
        let extension = extension.to_ascii_lowercase();
        Self::ALL.into_iter().find(|format| format.extension() == extension || extension.parse() == Ok(*format))
    }

    /// The media type of such a file.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Png => "image/png",
            Self::Webp => "image/webp",
            Self::Jpeg => "image/jpeg",
        }
    }

    /// The most pixels that a side of such a picture can have.
    pub fn max_side(self) -> u32 {
        match self {
            Self::Png => i32::MAX as u32,
            Self::Webp => 16_383,
            Self::Jpeg => 65_535,
        }
    }
}

/// How much of the picture a JPEG or a WebP keeps, from 1 to 100.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Quality(u8);

impl Quality {
    /// The quality as a number.
    pub fn percent(self) -> u8 {
        self.0
    }

    /// Whether a WebP keeps every pixel.
    pub fn is_lossless(self) -> bool {
        self.0 == 100
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self(90)
    }
}

impl FromStr for Quality {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        let value = text.parse().ok().filter(|value| (1..=100).contains(value));
        let accepts = "a whole number from 1 to 100";
        value.map(Self).ok_or_else(|| ParamError { name: "quality", got: text.to_owned(), accepts })
    }
}

impl TryFrom<u32> for Quality {
    type Error = ParamError;

    fn try_from(value: u32) -> Result<Self, ParamError> {
        value.to_string().parse()
    }
}

impl From<Quality> for u32 {
    fn from(quality: Quality) -> u32 {
        quality.0.into()
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The largest side of a result in pixels, from 1 to 65535.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct MaxSide(u16);

impl MaxSide {
    /// The side in pixels.
    pub fn pixels(self) -> u32 {
        self.0.into()
    }
}

impl FromStr for MaxSide {
    type Err = ParamError;

    fn from_str(text: &str) -> Result<Self, ParamError> {
        let value = text.parse().ok().filter(|value| *value > 0);
        let accepts = "a whole number of pixels from 1 to 65535";
        value.map(Self).ok_or_else(|| ParamError { name: "max_side", got: text.to_owned(), accepts })
    }
}

impl TryFrom<u32> for MaxSide {
    type Error = ParamError;

    fn try_from(value: u32) -> Result<Self, ParamError> {
        value.to_string().parse()
    }
}

impl From<MaxSide> for u32 {
    fn from(side: MaxSide) -> u32 {
        side.pixels()
    }
}

impl fmt::Display for MaxSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_known_by_its_name_and_by_its_extensions() {
        for format in OutputFormat::ALL {
            assert_eq!(serde_json::to_value(format).unwrap().as_str().unwrap().parse(), Ok(format));
            assert_eq!(OutputFormat::of_extension(format.extension()), Some(format));
        }
        assert_eq!(OutputFormat::of_extension("JPEG"), Some(OutputFormat::Jpeg));
        assert_eq!(OutputFormat::of_extension("tiff"), None);
        assert_eq!(
            "gif".parse::<OutputFormat>().unwrap_err().to_string(),
            r#"format is "gif"; it takes png, webp or jpeg"#
        );
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert_eq!("100".parse::<Quality>().map(Quality::percent), Ok(100));
        assert!(["0", "101", "-1", "90.5", ""].iter().all(|text| text.parse::<Quality>().is_err()));
        assert_eq!("65535".parse::<MaxSide>().map(MaxSide::pixels), Ok(65_535));
        assert!(["0", "65536", "-1", "1e3", ""].iter().all(|text| text.parse::<MaxSide>().is_err()));
        assert!(serde_json::from_str::<MaxSide>("70000").is_err());
    }
}
