//! The price of a job, by which its client's start moves on.

use remaster_shared::job::FaceMode;

use crate::NewJob;

/// The price of any job, whatever its size, for decoding, encoding and storing it.
const HANDLING: f64 = 0.01;
/// The price of searching for faces: this much, plus this much per megapixel of the input.
const FACES: f64 = 0.01;

/// The price of a job in megapixels of network work.
pub fn price(job: &NewJob) -> f64 {
    let megapixels = f64::from(job.input.width) * f64::from(job.input.height) / 1e6;
    let background = if job.params.background { megapixels } else { 0.0 };
    let faces = if job.params.faces == FaceMode::Off { 0.0 } else { FACES * (1.0 + megapixels) };
    HANDLING + background + faces
}
