//! The setting `PRECISION`: the floating-point type in which networks compute.

use std::{fmt, str::FromStr};

/// The floating-point type in which upscalers, face restorers and face parsers compute. Detectors always compute in
/// float32, because sixteen bits move their boxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Precision {
    /// The default: float16 on a GPU, and bfloat16 on a CPU that has it, for the upscalers and face restorers that compute nearly the same
    /// in it, as is measured when one first runs; else float32.
    #[default]
    Auto,
    /// float32.
    Single,
    /// float16; a run whose output overflows is repeated in float32.
    Half,
    /// bfloat16, which needs OpenVINO and a CPU that has instructions for it.
    BFloat16,
}

/// The text names no precision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("auto, fp32, fp16 or bf16")]
pub struct PrecisionError;

impl FromStr for Precision {
    type Err = PrecisionError;

    fn from_str(text: &str) -> Result<Self, PrecisionError> {
        match text {
            "auto" => Ok(Precision::Auto),
            "fp32" => Ok(Precision::Single),
            "fp16" => Ok(Precision::Half),
            "bf16" => Ok(Precision::BFloat16),
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
            Precision::BFloat16 => "bf16",
        })
    }
}
