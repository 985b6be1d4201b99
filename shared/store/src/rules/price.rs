//! What a job counts in its client's turn.

use remaster_shared::job::FaceMode;

use crate::NewJob;

/// What every job counts, whatever its size: it is decoded, encoded and stored.
const HANDLING: f64 = 0.01;
/// What looking for faces counts, per megapixel of the input and once besides.
const FACES: f64 = 0.01;

/// The price of a job in megapixels of network work.
pub fn price(job: &NewJob) -> f64 {
    let megapixels = f64::from(job.input.width) * f64::from(job.input.height) / 1e6;
    let background = if job.params.background { megapixels } else { 0.0 };
    let faces = if job.params.faces == FaceMode::Off { 0.0 } else { FACES * (1.0 + megapixels) };
    HANDLING + background + faces
}
