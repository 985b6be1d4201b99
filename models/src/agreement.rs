//! The record of how nearly a model computes in a type of 16 bits what it computes in float32, beside the model. It saves the
//! measurement, which takes seconds.

use std::fs;
use std::path::PathBuf;

use crate::disk::{self, DiskError};
use crate::library::{Installed, Library, read_sidecar};

impl Library {
    /// The recorded agreement of `float`, such as `bf16`, in dB, unless it was measured on another model or by another release.
    #[must_use]
    pub fn agreement(&self, model: &Installed, float: &str) -> Option<f64> {
        let text = fs::read_to_string(record(model, float)).ok()?;
        let (agreement, measured) = text.trim_end().split_once(' ')?;
        (measured == subject(model)?).then(|| agreement.parse().ok())?
    }

    /// Records the agreement of `float` in dB. That of a model whose hash is not known is not recorded.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn record_agreement(&self, model: &Installed, float: &str, agreement: f64) -> Result<(), DiskError> {
        let Some(subject) = subject(model) else { return Ok(()) };
        disk::write_atomic(&record(model, float), format!("{agreement:.1} {subject}\n").as_bytes())
    }
}

fn record(model: &Installed, float: &str) -> PathBuf {
    let mut name = model.path.as_os_str().to_owned();
    name.push(format!(".{float}"));
    name.into()
}

/// What an agreement was measured of: the release pins the runtime.
fn subject(model: &Installed) -> Option<String> {
    Some(format!("dB {} {}", read_sidecar(&model.path)?, env!("CARGO_PKG_VERSION")))
}
