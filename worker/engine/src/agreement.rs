//! How nearly a network computes in a type of 16 bits what it computes in float32, measured on a photo.

use std::io::Cursor;

use image::imageops::{self, FilterType};
use image::{ImageFormat, ImageResult, RgbImage};
use ndarray::Array4;
use remaster_models::Kind;

use crate::port::{Output, Tensor};

/// The agreement in dB from which on a network is run in 16 bits: an error of 1/255 on average, which nobody sees.
pub const ENOUGH: f64 = 48.0;

/// A face in 96x96 pixels, from a photo by NASA that is in the public domain.
const PHOTO: &[u8] = include_bytes!("agreement.png");
/// The side of a face restorer's input.
const FACE: u32 = 512;

/// A network's input for the measurement, and the range of its output; `None` for networks whose output is no picture.
pub fn sample(kind: Kind) -> Option<(Tensor, f64)> {
    let photo = || -> ImageResult<RgbImage> { Ok(image::load(Cursor::new(PHOTO), ImageFormat::Png)?.into_rgb8()) };
    match kind {
        Kind::Upscaler => Some((tensor(&photo().ok()?, |value| value), 1.0)),
        Kind::FaceRestorer => {
            let face = imageops::resize(&photo().ok()?, FACE, FACE, FilterType::CatmullRom);
            Some((tensor(&face, |value| 2.0 * value - 1.0), 2.0))
        }
        _ => None,
    }
}

fn tensor(photo: &RgbImage, map: impl Fn(f32) -> f32) -> Tensor {
    let shape = (1, 3, photo.height() as usize, photo.width() as usize);
    Array4::from_shape_fn(shape, |(_, c, y, x)| map(f32::from(photo.get_pixel(x as u32, y as u32)[c]) / 255.0))
}

/// The agreement of the first outputs as their peak signal-to-noise ratio in dB: infinite where they are equal, and NaN where they
/// cannot be compared.
pub fn agreement(single: &[Output], other: &[Output], range: f64) -> f64 {
    let (Some(single), Some(other)) = (single.first(), other.first()) else { return f64::NAN };
    if single.values.shape() != other.values.shape() {
        return f64::NAN;
    }
    let squares = single.values.iter().zip(&other.values).map(|(a, b)| f64::from(a - b).powi(2));
    let mean = squares.sum::<f64>() / single.values.len() as f64;
    10.0 * (range * range / mean).log10()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(values: &[f32]) -> Vec<Output> {
        vec![Output { name: "output".into(), values: ndarray::arr1(values).into_dyn() }]
    }

    #[test]
    fn agreement_is_the_ratio_of_peak_to_error() {
        let single = output(&[0.0, 1.0]);
        assert!((agreement(&single, &output(&[0.01, 0.99]), 1.0) - 40.0).abs() < 1e-3);
        assert!((agreement(&single, &output(&[0.02, 0.98]), 2.0) - 40.0).abs() < 1e-3);
        assert_eq!(agreement(&single, &single, 1.0), f64::INFINITY);
        for other in [output(&[0.0]), output(&[f32::NAN, 0.0]), Vec::new()] {
            assert!(agreement(&single, &other, 1.0).is_nan());
        }
    }

    #[test]
    fn the_photo_is_in_the_range_of_each_kind() {
        for (kind, side, least) in [(Kind::Upscaler, 96, 0.0), (Kind::FaceRestorer, 512, -1.0)] {
            let (photo, range) = sample(kind).unwrap();
            assert_eq!(photo.dim(), (1, 3, side, side));
            assert!(photo.iter().all(|value| (least..=1.0).contains(value)));
            assert_eq!(range, f64::from(1.0 - least));
            let (low, high) = photo.iter().fold((1.0_f32, -1.0_f32), |(a, b), v| (a.min(*v), b.max(*v)));
            assert!(f64::from(high - low) > 0.8 * range);
        }
        assert!(sample(Kind::Detector).is_none());
    }
}
