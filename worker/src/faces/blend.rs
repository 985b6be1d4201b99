//! Putting a restored face back into the enlarged picture.

use ndarray::ArrayView3;

use super::align::FACE_SIZE;
use super::mask::BlendMasks;
use super::segmentation::SegmentationMask;
use crate::picture::{Overlay, Picture};

/// A restored face on its way into the picture.
pub(super) struct RestoredFace<'a> {
    /// The index of the face in the masks.
    pub index: usize,
    /// `[3, 512, 512]`, red, green, blue, 0..=1.
    pub pixels: ArrayView3<'a, f32>,
    /// Limits the mask to the face itself, where a parser is installed.
    pub segmentation: Option<&'a SegmentationMask>,
}

/// Composites `face` over `picture` with bilinear interpolation, at the opacity that `masks` gives. The faces of a
/// picture have to come in the order of their index.
pub(super) fn blend(picture: &mut Picture, masks: &BlendMasks, face: &RestoredFace<'_>) {
    let align = masks.align(face.index);
    picture.composite(masks.window(face.index), |x, y| {
        let opacity = masks.opacity(face.index, x, y);
        if opacity <= 0.0 {
            return None;
        }
        let sampler = Bilinear::at(align.apply([x as f64, y as f64]));
        let rgb = std::array::from_fn(|channel| sampler.sample(|v, u| face.pixels[(channel, v, u)]));
        let limit = face.segmentation.map_or(1.0, |mask| sampler.sample(|v, u| mask[(v, u)]));
        Some(Overlay { rgb, opacity: (opacity as f32).min(limit) })
    });
}

/// Bilinear interpolation between four pixels of the aligned face.
struct Bilinear {
    /// The column and row of the upper left pixel.
    u: usize,
    v: usize,
    /// The weight of the right column and of the lower row.
    du: f32,
    dv: f32,
}

impl Bilinear {
    /// The sampler for a point inside the aligned face. Callers sample only where the mask is above 0, so every point lies
    /// inside.
    fn at([u, v]: [f64; 2]) -> Self {
        let last = (FACE_SIZE - 2) as f64;
        let (left, top) = (u.floor().clamp(0.0, last), v.floor().clamp(0.0, last));
        Self { u: left as usize, v: top as usize, du: (u - left) as f32, dv: (v - top) as f32 }
    }

    fn sample(&self, pixel: impl Fn(usize, usize) -> f32) -> f32 {
        let Self { u, v, du, dv } = *self;
        let lerp = |from: f32, to: f32, weight: f32| from + (to - from) * weight;
        let upper = lerp(pixel(v, u), pixel(v, u + 1), du);
        lerp(upper, lerp(pixel(v + 1, u), pixel(v + 1, u + 1), du), dv)
    }
}
