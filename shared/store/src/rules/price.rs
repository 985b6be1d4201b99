//! The price of a job, by which its client's start moves on.

use remaster_shared::job::FaceMode;

use crate::NewJob;

/// The price of any job, whatever its size, for fetching, claiming and storing it.
const HANDLING: f64 = 0.01;
/// The price of decoding, filtering and encoding, per megapixel of the output. Measured on two CPU cores with `remaster enhance`: 0.09
/// to 0.13 seconds, where a megapixel of the input takes x4plus 267 seconds. (On a GPU the networks are faster and this is not.)
const PIXELS: f64 = 0.0005;
/// The price of faces: this much, plus this much per megapixel of the input. Finding them costs hardly anything; restoring one takes
/// two seconds, as measured in the same way, and before a job is worked on nobody knows how many there are.
const FACES: f64 = 0.01;

/// The price of a job in megapixels of the work of `realesrgan-x4plus`.
pub fn price(job: &NewJob) -> f64 {
    let megapixels = f64::from(job.input.width) * f64::from(job.input.height) / 1e6;
    // Alpha takes a pass of its own through the network wherever it is not flat.
    let passes = if job.input.alpha { 2.0 } else { 1.0 };
    let background = if job.params.background { megapixels * job.cost * passes } else { 0.0 };
    let faces = if job.params.faces == FaceMode::Off { 0.0 } else { FACES * (1.0 + megapixels) };
    let factor = f64::from(job.params.scale.factor());
    HANDLING + background + faces + PIXELS * megapixels * factor * factor
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::new_job;

    #[test]
    fn a_job_is_priced_by_its_network_and_its_pixels() {
        let job = |cost: f64, background: bool, width: u32| {
            let mut job = NewJob { cost, ..new_job() };
            job.params.background = background;
            job.params.faces = FaceMode::Off;
            job.input.width = width;
            price(&job)
        };
        let is = |price: f64, expected: f64| assert!((price - expected).abs() < 1e-9, "{price}, not {expected}");
        is(job(1.0, true, 2000), 1.01 + 4.0 * PIXELS);
        is(job(0.04, true, 2000), 0.05 + 4.0 * PIXELS);
        is(job(1.0, true, 4000), 2.01 + 8.0 * PIXELS);
        let cut_out = |background| {
            let mut job = new_job();
            (job.input.alpha, job.params.background, job.params.faces) = (true, background, FaceMode::Off);
            price(&job)
        };
        is(cut_out(true) - cut_out(false), 2.0 * 0.5);
        // Without a network the pixels still have to be handled.
        is(job(1.0, false, 2000), HANDLING + 4.0 * PIXELS);
        is(job(1.0, false, 40_000), HANDLING + 80.0 * PIXELS);
    }
}
