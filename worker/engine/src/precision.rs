//! `PRECISION`: in what numbers networks compute.

use std::{fmt, str::FromStr};

/// Upscalers, face restorers and face parsers compute in it; detectors always in float32, which they need.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// float32, until float16 has been measured on GPUs.
    #[default]
    Auto,
    Single,
    /// float16, and float32 again for a run whose result overflowed.
    Half,
}

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
