//! How large pictures may be.

use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::EnhanceParams;

/// The largest number of pixels of a picture, before and after it is enlarged.
#[derive(Debug, Clone, Copy)]
pub struct PixelLimits {
    /// The most pixels of an upload.
    pub input: u64,
    /// The most pixels of a result.
    pub output: u64,
}

impl PixelLimits {
    /// Checks a picture of `width` x `height` pixels of which a result is to be made as `params` say.
    ///
    /// # Errors
    /// `image_too_large` when the picture, or the picture as it is enlarged, has more pixels than allowed, where the message names
    /// the setting; also when the result's format does not have room for it.
    pub fn check(&self, width: u32, height: u32, params: &EnhanceParams) -> Result<(), JobError> {
        let too_large = |what: String, limit: u64, name: &str| {
            let message = format!("{what} pixels; at most {limit} are accepted ({name}).");
            Err(JobError::new(ErrorCode::ImageTooLarge, message))
        };
        let pixels = u64::from(width) * u64::from(height);
        let EnhanceParams { scale, format, .. } = params;
        // The picture is in memory at this size before it is reduced to the largest side that is asked for.
        let output = pixels.saturating_mul(u64::from(scale.factor()).pow(2));
        let (width_made, height_made) = params.result_size(width, height);
        if pixels > self.input {
            too_large(format!("The image, {width}x{height}, has {pixels}"), self.input, "MAX_INPUT_PIXELS")
        } else if output > self.output {
            let what = format!("The result at scale {} would have {output}", scale.factor());
            too_large(what, self.output, "MAX_OUTPUT_PIXELS")
        } else if width_made.max(height_made) > format.max_side() {
            let (name, most) = (format.media_type(), format.max_side());
            let message = format!(
                "The result would be {width_made}x{height_made}; {name} has at most {most} pixels a side. PNG has room for it, and \
                 max_side reduces it."
            );
            Err(JobError::new(ErrorCode::ImageTooLarge, message))
        } else {
            Ok(())
        }
    }
}
