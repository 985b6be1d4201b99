//! How the time of a job divides between enlarging its picture and restoring its faces.

use crate::picture::Picture;

/// A face takes about as long as this many input pixels do in an upscaler.
const PIXELS_PER_FACE: usize = 40_000;

/// The share of the work that enlarging is, 0..=1; restoring faces is the rest.
#[derive(Debug, Clone, Copy)]
pub(super) struct EnlargingShare(f64);

impl EnlargingShare {
    /// The share for `picture` with this many `faces`. Without a `network` enlarging takes next to no time.
    pub(super) fn new(picture: &Picture, faces: usize, network: bool) -> Self {
        let pixels = if network { picture.width * picture.height } else { 1 };
        Self(pixels as f64 / (pixels + faces * PIXELS_PER_FACE) as f64)
    }

    /// The fraction of the whole work that is done when `fraction` of the faces are restored, which is done first.
    pub(super) fn restoring(self, fraction: f64) -> f64 {
        (1.0 - self.0) * fraction
    }

    /// The fraction of the whole work that is done when the faces and `fraction` of the enlarging are.
    pub(super) fn enlarging(self, fraction: f64) -> f64 {
        1.0 - self.0 + self.0 * fraction
    }
}
