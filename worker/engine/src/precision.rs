//! The setting `PRECISION`: the floating-point type in which networks compute.

use std::{fmt, str::FromStr};

/// The floating-point type in which upscalers, face restorers and face parsers compute. Detectors always compute in
/// float32, because float16 moves their boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// The default, which is float32 as long as float16 has not been measured on GPUs.
    #[default]
    Auto,
    /// float32.
    Single,
    /// float16; a run whose output overflows is repeated in float32.
    Half,
}

/// The text names no precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("auto, fp32 or fp16")]
pub struct PrecisionError;

impl FromStr for Precision {
    type Err = PrecisionError;

    fn from_str(text: &str) -> Result<Self, PrecisionError> {
        match text {
            "auto" => Ok(Precision::Auto),
            "fp32" => Ok(Precision::Single),
            "fp16" => Ok(Precision::Half),
            _ => Err(PrecisionError),
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Precision::Auto => "auto",
            Precision::Single => "fp32",
            Precision::Half => "fp16",
        })
    }
}
