//! How large pictures may be.

use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::Scale;

/// The largest number of pixels of a picture, before and after it is enlarged.
#[derive(Debug, Clone, Copy)]
pub struct PixelLimits {
    /// The most pixels of an upload.
    pub input: u64,
    /// The most pixels of a result.
    pub output: u64,
}

impl PixelLimits {
    /// Checks a picture of `width` x `height` pixels that is to be enlarged to `scale` times its width and height.
    ///
    /// # Errors
    /// `image_too_large` when the picture or its result has more pixels than allowed. The message names the setting.
    pub fn check(&self, width: u32, height: u32, scale: Scale) -> Result<(), JobError> {
        let too_large = |what: String, limit: u64, name: &str| {
            let message = format!("{what} pixels; at most {limit} are accepted ({name}).");
            Err(JobError::new(ErrorCode::ImageTooLarge, message))
        };
        let pixels = u64::from(width) * u64::from(height);
        let output = pixels.saturating_mul(u64::from(scale.factor()).pow(2));
        if pixels > self.input {
            too_large(format!("The image, {width}x{height}, has {pixels}"), self.input, "MAX_INPUT_PIXELS")
        } else if output > self.output {
            let what = format!("The result at scale {} would have {output}", scale.factor());
            too_large(what, self.output, "MAX_OUTPUT_PIXELS")
        } else {
            Ok(())
        }
    }
}
