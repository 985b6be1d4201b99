//! Cutting an aligned face out of a picture, bilinear.

use ndarray::Array4;

use super::align::{SIDE, Similarity};
use crate::picture::Picture;
use remaster_engine::Tensor;

/// What lies outside the picture, as red, green and blue: the gray that the networks were trained with.
const OUTSIDE: [f32; 3] = [132.0 / 255.0, 133.0 / 255.0, 135.0 / 255.0];

/// The picture's edge pixels go on for so many pixels of the aligned face before the gray begins; otherwise the gray
/// would shine through at the picture's edge when the face is put back.
const RIM: f64 = 2.0;

/// Samples per pixel, in each direction, of a face that is larger than the network takes.
const MOST_SAMPLES: usize = 8;

/// The aligned face as `[1, 3, 512, 512]`, 0..=1, where `align` leads from the picture to it.
///
/// A face more than twice as large as that is averaged over several samples, so that it does not alias.
pub fn crop(picture: &Picture, align: &Similarity) -> Tensor {
    let back = align.inverse();
    let samples = ((1.0 / align.scale()) as usize).clamp(1, MOST_SAMPLES);
    let source = Source { picture, rim: (0.5 + RIM / align.scale()).ceil() };
    let offset = |index: usize| (index as f64 + 0.5) / samples as f64 - 0.5;
    let share = 1.0 / (samples * samples) as f32;
    let mut face = Array4::zeros((1, 3, SIDE, SIDE));
    for v in 0..SIDE {
        for u in 0..SIDE {
            let mut sum = [0.0; 3];
            for index in 0..samples * samples {
                let (du, dv) = (offset(index % samples), offset(index / samples));
                let color = source.at(back.apply([u as f64 + du, v as f64 + dv]));
                (0..3).for_each(|channel| sum[channel] += color[channel]);
            }
            (0..3).for_each(|channel| face[(0, channel, v, u)] = sum[channel] * share);
        }
    }
    face
}

struct Source<'a> {
    picture: &'a Picture,
    rim: f64,
}

impl Source<'_> {
    /// The colour between four pixels.
    fn at(&self, [x, y]: [f64; 2]) -> [f32; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (right_share, bottom_share) = ((x - left) as f32, (y - top) as f32);
        let mix = |a: [f32; 3], b: [f32; 3], share: f32| std::array::from_fn(|i| a[i] + (b[i] - a[i]) * share);
        let upper = mix(self.pixel(left, top), self.pixel(left + 1.0, top), right_share);
        let lower = mix(self.pixel(left, top + 1.0), self.pixel(left + 1.0, top + 1.0), right_share);
        mix(upper, lower, bottom_share)
    }

    fn pixel(&self, x: f64, y: f64) -> [f32; 3] {
        let (right, bottom) = ((self.picture.width - 1) as f64, (self.picture.height - 1) as f64);
        let inside = |at: f64, last: f64| (-self.rim..=last + self.rim).contains(&at);
        if inside(x, right) && inside(y, bottom) {
            self.picture.color(x.clamp(0.0, right) as usize, y.clamp(0.0, bottom) as usize)
        } else {
            OUTSIDE
        }
    }
}
