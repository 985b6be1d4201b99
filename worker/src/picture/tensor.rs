//! Between interleaved samples and network tensors: a window of a picture as a tensor, and a tensor back into a
//! picture.

use ndarray::Array4;
use remaster_engine::Tensor;

use super::layout::Plane;
use super::raster::{Picture, Samples};
use super::sample::Sample;
use super::window::Window;

/// A part of a tensor and the place in a picture where it goes.
#[derive(Debug, Clone, PartialEq)]
pub struct Patch {
    /// The pixels to write, inside the picture.
    pub target: Window,
    /// `[1, 3, height, width]`, red, green, blue; at least as large as `target` from (`left`, `top`) on.
    pub tensor: Tensor,
    /// The tensor's column that goes to the first column of `target`.
    pub left: usize,
    /// The tensor's row that goes to the first row of `target`.
    pub top: usize,
}

impl Picture {
    /// The window as `[1, 3, height, width]` in 0..=1: red, green and blue, or a single channel three times.
    ///
    /// Past its edges the picture continues as its reflection, which does not repeat the edge pixel.
    pub fn to_tensor(&self, plane: Plane, window: Window) -> Tensor {
        let strides = self.strides(plane);
        match &self.samples {
            Samples::U8(samples) => read(samples, strides, window),
            Samples::U16(samples) => read(samples, strides, window),
        }
    }

    /// Writes `patch` into the plane, clamped to 0..=1 and rounded to the picture's depth.
    ///
    /// A plane of a single channel takes the mean of the tensor's three.
    pub fn paste(&mut self, plane: Plane, patch: &Patch) {
        let strides = self.strides(plane);
        match &mut self.samples {
            Samples::U8(samples) => write(samples, strides, patch),
            Samples::U16(samples) => write(samples, strides, patch),
        }
    }

    fn strides(&self, plane: Plane) -> Strides {
        Strides {
            width: self.width,
            height: self.height,
            pixel: self.layout.channels(),
            channels: self.layout.tensor_channels(plane),
        }
    }
}

/// Where the samples of a plane are.
struct Strides {
    /// In pixels.
    width: usize,
    height: usize,
    /// Samples from one pixel to the next.
    pixel: usize,
    /// The index within a pixel of the sample for each tensor channel.
    channels: [usize; 3],
}

/// `at` folded into `0..length` by reflection at both ends, without repeating the edge pixel.
fn reflect(at: isize, length: usize) -> usize {
    let period = 2 * (length as isize - 1).max(1);
    let folded = at.rem_euclid(period);
    if length == 1 { 0 } else { folded.min(period - folded) as usize }
}

fn read<T: Sample>(samples: &[T], strides: Strides, window: Window) -> Tensor {
    let Strides { width, height, pixel, channels } = strides;
    let columns: Vec<usize> = (0..window.width).map(|x| reflect(window.x + x as isize, width) * pixel).collect();
    let mut tensor = Array4::zeros((1, 3, window.height, window.width));
    for (index, channel) in channels.into_iter().enumerate() {
        for y in 0..window.height {
            let row = &samples[reflect(window.y + y as isize, height) * width * pixel..];
            let mut out = tensor.slice_mut(ndarray::s![0, index, y, ..]);
            for (value, column) in out.iter_mut().zip(&columns) {
                *value = row[column + channel].to_f32() / T::MAX;
            }
        }
    }
    tensor
}

fn write<T: Sample>(samples: &mut [T], strides: Strides, patch: &Patch) {
    let Strides { width, pixel, channels, .. } = strides;
    let Patch { target, tensor, left, top } = patch;
    let single = channels[0] == channels[2];
    let quantise = |value: f32| T::from_f32(value.clamp(0.0, 1.0) * T::MAX + 0.5);
    for y in 0..target.height {
        let start = ((target.y as usize + y) * width + target.x as usize) * pixel;
        let row = &mut samples[start..start + target.width * pixel];
        let line = |channel: usize| tensor.slice(ndarray::s![0, channel, top + y, *left..left + target.width]);
        if single {
            let [r, g, b] = [line(0), line(1), line(2)];
            for (x, samples) in row.chunks_exact_mut(pixel).enumerate() {
                samples[channels[0]] = quantise((r[x] + g[x] + b[x]) / 3.0);
            }
        } else {
            for (index, channel) in channels.into_iter().enumerate() {
                for (samples, value) in row.chunks_exact_mut(pixel).zip(line(index)) {
                    samples[channel] = quantise(*value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::picture::Layout;
    use crate::picture::fixtures::{any_picture, eight_bit, picture};

    proptest! {
        #[test]
        fn a_picture_read_and_pasted_is_the_same_picture(source in any_picture(), margin in [0_usize..9, 0_usize..9]) {
            let mut copy = source.blank(source.width, source.height);
            let planes: &[Plane] =
                if source.layout.has_alpha() { &[Plane::Color, Plane::Alpha] } else { &[Plane::Color] };
            let whole = Window { x: 0, y: 0, width: source.width, height: source.height };
            let [left, top] = margin;
            let window = Window {
                x: -(left as isize),
                y: -(top as isize),
                width: source.width + 2 * left,
                height: source.height + 2 * top,
            };
            for plane in planes {
                let tensor = source.to_tensor(*plane, window);
                prop_assert!(tensor.iter().all(|value| (0.0..=1.0).contains(value)));
                copy.paste(*plane, &Patch { target: whole, tensor, left, top });
            }
            prop_assert_eq!(copy, source);
        }
    }

    #[test]
    fn edges_are_reflected() {
        let at: Vec<usize> = (-5..9).map(|at| reflect(at, 4)).collect();
        assert_eq!(at, [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert!((-5..5).all(|at| reflect(at, 1) == 0));
    }

    #[test]
    fn network_output_is_clamped_and_rounded() {
        let mut canvas = picture(Layout::Rgb, Samples::U8(vec![0; 9]));
        let values = vec![-1.0, 2.0, 0.5, 0.0019, 0.0021, 1.0, 0.0, 0.1, 0.9];
        let tensor = Array4::from_shape_vec((1, 3, 1, 3), values).unwrap();
        let target = Window { x: 0, y: 0, width: 3, height: 1 };
        canvas.paste(Plane::Color, &Patch { target, tensor, left: 0, top: 0 });
        assert_eq!(eight_bit(&canvas), [0, 0, 0, 255, 1, 26, 128, 255, 230]);
    }
}
