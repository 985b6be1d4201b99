//! Putting a restored face back into the enlarged picture.

use ndarray::ArrayView3;

use super::align::SIDE;
use super::mask::Masks;
use crate::picture::{Over, Picture};

/// What the parser says belongs to the face, 0..=1, `SIDE` x `SIDE`.
pub(super) type Parsed = ndarray::Array2<f32>;

/// A restored face on its way into the picture.
pub(super) struct Restored<'a> {
    /// Which of the masks' faces it is.
    pub index: usize,
    /// `[3, 512, 512]`, 0..=1.
    pub face: ArrayView3<'a, f32>,
    /// Limits the mask, where a parser is installed.
    pub parsed: Option<&'a Parsed>,
}

/// Lays `restored` over `picture`, bilinear, as its mask says. Faces are to come in the order of their index.
pub(super) fn blend(picture: &mut Picture, masks: &Masks, restored: &Restored<'_>) {
    let align = masks.align(restored.index);
    picture.mix(masks.window(restored.index), |x, y| {
        let cover = masks.cover(restored.index, x, y);
        if cover <= 0.0 {
            return None;
        }
        let taps = Taps::at(align.apply([x as f64, y as f64]));
        let color = std::array::from_fn(|channel| taps.of(|v, u| restored.face[(channel, v, u)]));
        let limit = restored.parsed.map_or(1.0, |parsed| taps.of(|v, u| parsed[(v, u)]));
        Some(Over { color, weight: (cover as f32).min(limit) })
    });
}

/// The four pixels of the aligned face around a point, and how much each weighs.
struct Taps {
    u: usize,
    v: usize,
    du: f32,
    dv: f32,
}

impl Taps {
    /// Where a mask is not 0, the point lies inside the face.
    fn at([u, v]: [f64; 2]) -> Self {
        let last = (SIDE - 2) as f64;
        let (left, top) = (u.floor().clamp(0.0, last), v.floor().clamp(0.0, last));
        Self { u: left as usize, v: top as usize, du: (u - left) as f32, dv: (v - top) as f32 }
    }

    fn of(&self, pixel: impl Fn(usize, usize) -> f32) -> f32 {
        let Self { u, v, du, dv } = *self;
        let mix = |a: f32, b: f32, share: f32| a + (b - a) * share;
        let upper = mix(pixel(v, u), pixel(v, u + 1), du);
        mix(upper, mix(pixel(v + 1, u), pixel(v + 1, u + 1), du), dv)
    }
}
