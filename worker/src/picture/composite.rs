//! Single pixels of a picture: reading one, and compositing colours over many.

use super::layout::{Layout, Plane};
use super::raster::{Picture, Samples};
use super::sample::Sample;
use super::window::Window;

/// A colour to lay over a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Overlay {
    /// Red, green, blue. Values outside 0..=1 are clamped.
    pub rgb: [f32; 3],
    /// 0 keeps the pixel, 1 replaces it.
    pub opacity: f32,
}

/// The weights of red, green and blue in luma,
/// [Rec. 601](https://www.itu.int/rec/R-REC-BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

impl Picture {
    /// Red, green and blue at (`x`, `y`), 0..=1; a gray picture's one channel three times.
    pub fn rgb(&self, x: usize, y: usize) -> [f32; 3] {
        let at = (y * self.width + x) * self.layout.channels();
        let places = self.layout.tensor_channels(Plane::Color).map(|channel| at + channel);
        match &self.samples {
            Samples::U8(samples) => places.map(|at| samples[at].to_f32() / <u8 as Sample>::MAX),
            Samples::U16(samples) => places.map(|at| samples[at].to_f32() / <u16 as Sample>::MAX),
        }
    }

    /// The alpha at (`x`, `y`), 0..=1; 1 in a layout without alpha.
    pub fn alpha(&self, x: usize, y: usize) -> f32 {
        if !self.layout.has_alpha() {
            return 1.0;
        }
        let at = (y * self.width + x + 1) * self.layout.channels() - 1;
        match &self.samples {
            Samples::U8(samples) => samples[at].to_f32() / <u8 as Sample>::MAX,
            Samples::U16(samples) => samples[at].to_f32() / <u16 as Sample>::MAX,
        }
    }

    /// Lays what `overlay` returns for the column and the row of each pixel of `window` over that pixel, and rounds
    /// once. `window` has to be inside the picture.
    ///
    /// A gray picture takes the luma of the colour. Alpha stays as it is.
    pub fn composite(&mut self, window: Window, overlay: impl Fn(usize, usize) -> Option<Overlay>) {
        let (width, layout) = (self.width, self.layout);
        let target = Target { width, layout, window };
        match &mut self.samples {
            Samples::U8(samples) => composite(samples, target, overlay),
            Samples::U16(samples) => composite(samples, target, overlay),
        }
    }
}

/// The pixels to change.
struct Target {
    /// The width of the whole picture in pixels.
    width: usize,
    layout: Layout,
    window: Window,
}

fn composite<T: Sample>(samples: &mut [T], target: Target, overlay: impl Fn(usize, usize) -> Option<Overlay>) {
    let Target { width, layout, window } = target;
    let (left, top) = (window.x as usize, window.y as usize);
    for y in top..top + window.height {
        for x in left..left + window.width {
            let Some(Overlay { rgb, opacity }) = overlay(x, y) else { continue };
            let at = (y * width + x) * layout.channels();
            let mut blend = |at: usize, value: f32| {
                let own = samples[at].to_f32();
                samples[at] = T::from_f32(own + (value.clamp(0.0, 1.0) * T::MAX - own) * opacity + 0.5);
            };
            if layout.color_channels() == 1 {
                blend(at, rgb.iter().zip(LUMA).map(|(value, share)| value * share).sum());
            } else {
                rgb.into_iter().enumerate().for_each(|(channel, value)| blend(at + channel, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::fixtures::picture;

    fn row(width: usize) -> Window {
        Window { x: 0, y: 0, width, height: 1 }
    }

    #[test]
    fn colours_are_read_in_every_layout() {
        let gray = picture(Layout::GrayAlpha, Samples::U8(vec![51, 9, 102, 9]));
        assert_eq!(gray.rgb(1, 0), [0.4; 3]);
        let wide = picture(Layout::Rgba, Samples::U16(vec![0, 0, 0, 0, 13107, 26214, 39321, 7]));
        assert_eq!(wide.rgb(1, 0), [0.2, 0.4, 0.6]);
    }

    #[test]
    fn compositing_keeps_alpha_depth_and_pixels_without_an_overlay() {
        let second = |x, _| (x == 1).then_some(Overlay { rgb: [1.0, 0.5, -3.0], opacity: 0.5 });
        let mut rgba = picture(Layout::Rgba, Samples::U16(vec![10, 20, 30, 40, 1000, 1000, 1000, 40]));
        rgba.composite(row(2), second);
        assert_eq!(rgba.samples, Samples::U16(vec![10, 20, 30, 40, 33268, 16884, 500, 40]));
        let mut gray = picture(Layout::GrayAlpha, Samples::U8(vec![10, 40, 100, 40]));
        gray.composite(row(2), |x, _| (x == 1).then_some(Overlay { rgb: [1.0, 0.0, 0.0], opacity: 1.0 }));
        assert_eq!(gray.samples, Samples::U8(vec![10, 40, 76, 40]));
        let mut same = picture(Layout::Rgb, Samples::U8(vec![1, 2, 3]));
        same.composite(row(1), |_, _| Some(Overlay { rgb: [0.9; 3], opacity: 0.0 }));
        assert_eq!(same.samples, Samples::U8(vec![1, 2, 3]));
    }
}
