//! The price of a job, by which its client's start moves on.

use remaster_shared::job::FaceMode;

use crate::NewJob;

/// The price of any job, whatever its size, for decoding, encoding and storing it.
const HANDLING: f64 = 0.01;
/// The price of searching for faces: this much, plus this much per megapixel of the input.
const FACES: f64 = 0.01;

/// The price of a job in megapixels of the work of `realesrgan-x4plus`.
pub fn price(job: &NewJob) -> f64 {
    let megapixels = f64::from(job.input.width) * f64::from(job.input.height) / 1e6;
    let background = if job.params.background { megapixels * job.cost } else { 0.0 };
    let faces = if job.params.faces == FaceMode::Off { 0.0 } else { FACES * (1.0 + megapixels) };
    HANDLING + background + faces
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
        assert_eq!(job(1.0, true, 2000), 1.01);
        assert_eq!(job(0.04, true, 2000), 0.05);
        assert_eq!(job(1.0, true, 4000), 2.01);
        // Without a network hardly anything is left but the handling.
        assert_eq!(job(1.0, false, 2000), HANDLING);
    }
}
