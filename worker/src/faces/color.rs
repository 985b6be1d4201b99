//! The colours of a face are the picture's own. A restorer shifts skin and light a little, over whole regions of the face; what changes
//! slowly across a restored face is therefore taken from the picture, and only the detail from the restorer.

use remaster_engine::Tensor;

use super::align::FACE_SIZE;
use crate::picture::{ResizeError, resize_tensor};

/// How many samples a side of an aligned face is reduced to. What still shows there changes slowly.
const SIDE: usize = 16;

/// Gives the `restored` faces the slow changes of the same faces as the picture has them, both `[n, 3, 512, 512]`, 0..=1.
///
/// # Errors
/// Tensors that are not contiguous.
pub(super) fn keep_colors(mut restored: Tensor, own: &Tensor) -> Result<Tensor, ResizeError> {
    let difference = own - &restored;
    restored += &resize_tensor(&resize_tensor(&difference, SIDE, SIDE)?, FACE_SIZE, FACE_SIZE)?;
    restored.mapv_inplace(|value| value.clamp(0.0, 1.0));
    Ok(restored)
}
