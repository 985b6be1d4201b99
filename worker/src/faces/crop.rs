//! Cutting an aligned face out of a picture, with bilinear interpolation.

use ndarray::{Array2, Array4};
use remaster_engine::Tensor;

use super::align::{FACE_SIZE, Similarity};
use crate::picture::Picture;

/// Red, green and blue outside the picture, 0..=1: the gray with which the restoration networks were trained.
const BORDER_RGB: [f32; 3] = [132.0 / 255.0, 133.0 / 255.0, 135.0 / 255.0];

/// The edge pixels of the picture are repeated for this many pixels of the aligned face before the gray begins. Otherwise
/// interpolation would mix the gray into the edge of the picture when the face is put back.
const EDGE_REPEAT: f64 = 2.0;

/// The most samples per pixel and direction that are averaged for a face larger than [`FACE_SIZE`].
const MAX_SUPERSAMPLING: usize = 8;

/// The aligned face as `[1, 3, 512, 512]`, red, green, blue, 0..=1. `align` leads from the picture to the aligned face.
///
/// A face more than twice as large as that is averaged over several samples per pixel, so that it does not alias.
pub fn crop(picture: &Picture, align: &Similarity) -> Tensor {
    let back = align.inverse();
    let samples = ((1.0 / align.scale()) as usize).clamp(1, MAX_SUPERSAMPLING);
    let source = Source { picture, repeat: (0.5 + EDGE_REPEAT / align.scale()).ceil() };
    let offset = |index: usize| (index as f64 + 0.5) / samples as f64 - 0.5;
    let weight = 1.0 / (samples * samples) as f32;
    let mut face = Array4::zeros((1, 3, FACE_SIZE, FACE_SIZE));
    for v in 0..FACE_SIZE {
        for u in 0..FACE_SIZE {
            let mut sum = [0.0; 3];
            for index in 0..samples * samples {
                let (du, dv) = (offset(index % samples), offset(index / samples));
                let rgb = source.interpolate(back.apply([u as f64 + du, v as f64 + dv]));
                (0..3).for_each(|channel| sum[channel] += rgb[channel]);
            }
            (0..3).for_each(|channel| face[(0, channel, v, u)] = sum[channel] * weight);
        }
    }
    face
}

/// Which pixels of the aligned face are in the picture, `[512, 512]`: 1, or 0.
pub(super) fn inside(picture: &Picture, align: &Similarity) -> Array2<f32> {
    let back = align.inverse();
    let within = |at: f64, length: usize| (-0.5..=length as f64 - 0.5).contains(&at);
    Array2::from_shape_fn((FACE_SIZE, FACE_SIZE), |(v, u)| {
        let [x, y] = back.apply([u as f64, v as f64]);
        if within(x, picture.width) && within(y, picture.height) { 1.0 } else { 0.0 }
    })
}

/// A picture that continues past its edges.
struct Source<'a> {
    picture: &'a Picture,
    /// For how many pixels of the picture its edge pixels are repeated.
    repeat: f64,
}

impl Source<'_> {
    /// Red, green and blue at a point between four pixels.
    fn interpolate(&self, [x, y]: [f64; 2]) -> [f32; 3] {
        let (left, top) = (x.floor(), y.floor());
        let (right_weight, bottom_weight) = ((x - left) as f32, (y - top) as f32);
        let lerp = |a: [f32; 3], b: [f32; 3], weight: f32| std::array::from_fn(|i| a[i] + (b[i] - a[i]) * weight);
        let upper = lerp(self.pixel(left, top), self.pixel(left + 1.0, top), right_weight);
        let lower = lerp(self.pixel(left, top + 1.0), self.pixel(left + 1.0, top + 1.0), right_weight);
        lerp(upper, lower, bottom_weight)
    }

    fn pixel(&self, x: f64, y: f64) -> [f32; 3] {
        let (right, bottom) = ((self.picture.width - 1) as f64, (self.picture.height - 1) as f64);
        let inside = |at: f64, last: f64| (-self.repeat..=last + self.repeat).contains(&at);
        if inside(x, right) && inside(y, bottom) {
            self.picture.rgb(x.clamp(0.0, right) as usize, y.clamp(0.0, bottom) as usize)
        } else {
            BORDER_RGB
        }
    }
}
