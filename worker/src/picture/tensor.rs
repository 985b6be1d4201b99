//! Between interleaved samples and network tensors: cutting a tile out, putting one in.

use ndarray::Array4;

use super::sample::Sample;
use super::{Picture, Samples};
use remaster_engine::Tensor;

/// What a pass through the network carries: the colours, or alpha as a picture of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Band {
    Color,
    Alpha,
}

/// A rectangle in pixels. May reach past the picture's edges, where the picture is mirrored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub x: isize,
    pub y: isize,
    pub width: usize,
    pub height: usize,
}

impl Window {
    /// Whether the two have a pixel in common.
    pub fn meets(self, other: Window) -> bool {
        let meet = |a: (isize, usize), b: (isize, usize)| a.0 < b.0 + b.1 as isize && b.0 < a.0 + a.1 as isize;
        meet((self.x, self.width), (other.x, other.width)) && meet((self.y, self.height), (other.y, other.height))
    }
}

impl Picture {
    /// The window as `[1, 3, height, width]`, 0..=1. A single channel is given to all three.
    pub fn cut(&self, band: Band, window: Window) -> Tensor {
        let channels = self.channels_of(band);
        match &self.samples {
            Samples::U8(samples) => cut(self, samples, channels, window),
            Samples::U16(samples) => cut(self, samples, channels, window),
        }
    }

    /// Writes the part of `tile` from (`left`, `top`) of `target`'s size to `target`, clamped and rounded.
    /// A single channel takes the mean of the tile's three.
    pub fn paste(&mut self, band: Band, target: Window, tile: &Tensor, left: usize, top: usize) {
        let channels = self.channels_of(band);
        let (width, stride) = (self.width, self.layout.channels());
        let place = Place { width, stride, channels, target, left, top };
        match &mut self.samples {
            Samples::U8(samples) => paste(samples, place, tile),
            Samples::U16(samples) => paste(samples, place, tile),
        }
    }

    /// The sample offset of each tensor channel's source within a pixel.
    pub(super) fn channels_of(&self, band: Band) -> [usize; 3] {
        match (band, self.layout.colors()) {
            (Band::Color, 3) => [0, 1, 2],
            (Band::Color, _) => [0; 3],
            (Band::Alpha, colors) => [colors; 3],
        }
    }
}

/// `at` folded back into `0..length` by mirroring at both ends without repeating the edge pixel.
fn mirror(at: isize, length: usize) -> usize {
    let period = 2 * (length as isize - 1).max(1);
    let folded = at.rem_euclid(period);
    if length == 1 { 0 } else { folded.min(period - folded) as usize }
}

fn cut<T: Sample>(picture: &Picture, samples: &[T], channels: [usize; 3], window: Window) -> Tensor {
    let stride = picture.layout.channels();
    let columns: Vec<usize> =
        (0..window.width).map(|x| mirror(window.x + x as isize, picture.width) * stride).collect();
    let mut tensor = Array4::zeros((1, 3, window.height, window.width));
    for (index, channel) in channels.into_iter().enumerate() {
        for y in 0..window.height {
            let row = &samples[mirror(window.y + y as isize, picture.height) * picture.width * stride..];
            let mut out = tensor.slice_mut(ndarray::s![0, index, y, ..]);
            for (value, column) in out.iter_mut().zip(&columns) {
                *value = row[column + channel].to_f32() / T::MAX;
            }
        }
    }
    tensor
}

struct Place {
    width: usize,
    stride: usize,
    channels: [usize; 3],
    target: Window,
    left: usize,
    top: usize,
}

fn paste<T: Sample>(samples: &mut [T], place: Place, tile: &Tensor) {
    let Place { width, stride, channels, target, left, top } = place;
    let single = channels[0] == channels[2];
    for y in 0..target.height {
        let start = ((target.y as usize + y) * width + target.x as usize) * stride;
        let row = &mut samples[start..start + target.width * stride];
        let line = |channel: usize| tile.slice(ndarray::s![0, channel, top + y, left..left + target.width]);
        let quantise = |value: f32| T::from_f32(value.clamp(0.0, 1.0) * T::MAX + 0.5);
        if single {
            let [r, g, b] = [line(0), line(1), line(2)];
            for (x, pixel) in row.chunks_exact_mut(stride).enumerate() {
                pixel[channels[0]] = quantise((r[x] + g[x] + b[x]) / 3.0);
            }
        } else {
            for (index, channel) in channels.into_iter().enumerate() {
                for (pixel, value) in row.chunks_exact_mut(stride).zip(line(index)) {
                    pixel[channel] = quantise(*value);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Layout, Metadata};

    fn picture(layout: Layout, wide: bool) -> Picture {
        let (width, height) = (7, 5);
        let length = width * height * layout.channels();
        let samples = if wide {
            Samples::U16((0..length).map(|i| (i * 619 % 65536) as u16).collect())
        } else {
            Samples::U8((0..length).map(|i| (i * 7 % 256) as u8).collect())
        };
        Picture { width, height, layout, samples, metadata: Metadata::default() }
    }

    #[test]
    fn what_is_cut_and_pasted_is_the_same_picture() {
        for layout in [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba] {
            for wide in [false, true] {
                let source = picture(layout, wide);
                let mut copy = source.canvas(1);
                let bands: &[Band] = if layout.has_alpha() { &[Band::Color, Band::Alpha] } else { &[Band::Color] };
                for band in bands {
                    // With a margin past every edge.
                    let tile = source.cut(*band, Window { x: -3, y: -2, width: 13, height: 9 });
                    let whole = Window { x: 0, y: 0, width: 7, height: 5 };
                    copy.paste(*band, whole, &tile, 3, 2);
                }
                assert_eq!(copy, source, "{layout:?}, wide: {wide}");
            }
        }
    }

    #[test]
    fn edges_are_mirrored() {
        let at: Vec<usize> = (-5..9).map(|at| mirror(at, 4)).collect();
        assert_eq!(at, [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]);
        assert!((-5..5).all(|at| mirror(at, 1) == 0));
    }

    #[test]
    fn network_output_is_clamped_and_rounded() {
        let mut canvas = picture(Layout::Rgb, false).canvas(1);
        let tile = Array4::from_shape_vec((1, 3, 1, 3), vec![-1.0, 2.0, 0.5, 0.0019, 0.0021, 1.0, 0.0, 0.1, 0.9]);
        canvas.paste(Band::Color, Window { x: 0, y: 0, width: 3, height: 1 }, &tile.unwrap(), 0, 0);
        let Samples::U8(samples) = canvas.samples else { panic!() };
        assert_eq!(samples[..9], [0, 0, 0, 255, 1, 26, 128, 255, 230]);
    }

    #[test]
    fn constant_alpha_is_seen() {
        let mut source = picture(Layout::Rgba, true);
        assert_eq!(source.constant_alpha(), None);
        source.fill_alpha(40_000);
        assert_eq!(source.constant_alpha(), Some(40_000));
        assert_eq!(picture(Layout::Rgb, false).constant_alpha(), None);
    }
}
