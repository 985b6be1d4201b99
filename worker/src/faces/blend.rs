//! Putting restored faces back into the enlarged picture.

use ndarray::Array3;

use super::align::FACE_SIZE;
use super::mask::BlendMasks;
use super::segmentation::SegmentationMask;
use crate::picture::{Overlay, Strip, Window};

/// The restored faces of a picture, on their way into it.
pub struct RestoredFaces {
    pub(super) masks: BlendMasks,
    /// By the index of each in the masks.
    pub(super) faces: Vec<RestoredFace>,
}

/// A restored face.
pub(super) struct RestoredFace {
    /// `[3, 512, 512]`, red, green, blue, 0..=1.
    pub(super) pixels: Array3<f32>,
    /// Limits the mask to the face itself, where a parser is installed.
    pub(super) segmentation: Option<SegmentationMask>,
}

impl RestoredFaces {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.faces.len()
    }

    /// Composites the faces over some rows of the picture with bilinear interpolation, at the opacity that the masks give.
    pub fn blend(&self, strip: &mut Strip) {
        for (index, face) in self.faces.iter().enumerate() {
            let window = self.masks.window(index);
            let from = (window.y as usize).max(strip.top);
            let to = (window.y as usize + window.height).min(strip.top + strip.rows.height);
            if from < to {
                let part = Window { y: (from - strip.top) as isize, height: to - from, ..window };
                self.lay(index, face, strip, part);
            }
        }
    }

    /// Lays a face over a part of the strip.
    fn lay(&self, index: usize, face: &RestoredFace, strip: &mut Strip, part: Window) {
        let align = self.masks.align(index);
        let top = strip.top;
        strip.rows.composite(part, |x, row| {
            let y = top + row;
            let opacity = self.masks.opacity(index, x, y);
            if opacity <= 0.0 {
                return None;
            }
            let sampler = Bilinear::at(align.apply([x as f64, y as f64]));
            let rgb = std::array::from_fn(|channel| sampler.sample(|v, u| face.pixels[(channel, v, u)]));
            let limit = face.segmentation.as_ref().map_or(1.0, |mask| sampler.sample(|v, u| mask[(v, u)]));
            Some(Overlay { rgb, opacity: (opacity as f32).min(limit) })
        });
    }
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
