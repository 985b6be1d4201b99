//! Single pixels of a picture: looking at one, and mixing others over it.

use super::sample::Sample;
use super::{Band, Picture, Samples, Window};

/// A colour to lay over a pixel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Over {
    /// Red, green, blue, 0..=1.
    pub color: [f32; 3],
    /// 0 keeps the pixel, 1 replaces it.
    pub weight: f32,
}

/// How bright red, green and blue are (Rec. 601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

impl Picture {
    /// Red, green and blue at (`x`, `y`), 0..=1; a gray picture's one channel three times.
    pub fn color(&self, x: usize, y: usize) -> [f32; 3] {
        let at = (y * self.width + x) * self.layout.channels();
        let places = self.channels_of(Band::Color).map(|channel| at + channel);
        match &self.samples {
            Samples::U8(samples) => places.map(|at| samples[at].to_f32() / <u8 as Sample>::MAX),
            Samples::U16(samples) => places.map(|at| samples[at].to_f32() / <u16 as Sample>::MAX),
        }
    }

    /// Mixes what `over` gives for each pixel of `window` (inside the picture) into that pixel, rounding once.
    /// A gray picture takes the colour's luma. Alpha is not touched.
    pub fn mix(&mut self, window: Window, over: impl Fn(usize, usize) -> Option<Over>) {
        let place = Place {
            width: self.width,
            channels: self.layout.channels(),
            gray: self.layout.colors() == 1,
            columns: window.x as usize..window.x as usize + window.width,
            rows: window.y as usize..window.y as usize + window.height,
        };
        match &mut self.samples {
            Samples::U8(samples) => mix(samples, place, over),
            Samples::U16(samples) => mix(samples, place, over),
        }
    }
}

struct Place {
    width: usize,
    channels: usize,
    gray: bool,
    columns: std::ops::Range<usize>,
    rows: std::ops::Range<usize>,
}

fn mix<T: Sample>(samples: &mut [T], place: Place, over: impl Fn(usize, usize) -> Option<Over>) {
    for y in place.rows {
        for x in place.columns.clone() {
            let Some(Over { color, weight }) = over(x, y) else { continue };
            let at = (y * place.width + x) * place.channels;
            let mut put = |at: usize, value: f32| {
                let own = samples[at].to_f32();
                samples[at] = T::from_f32(own + (value.clamp(0.0, 1.0) * T::MAX - own) * weight + 0.5);
            };
            if place.gray {
                put(at, color.iter().zip(LUMA).map(|(value, share)| value * share).sum());
            } else {
                color.into_iter().enumerate().for_each(|(channel, value)| put(at + channel, value));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Layout, Metadata};

    fn picture(layout: Layout, samples: Samples) -> Picture {
        let length = match &samples {
            Samples::U8(samples) => samples.len(),
            Samples::U16(samples) => samples.len(),
        };
        Picture { width: length / layout.channels(), height: 1, layout, samples, metadata: Metadata::default() }
    }

    #[test]
    fn colours_are_read_in_every_layout() {
        let gray = picture(Layout::GrayAlpha, Samples::U8(vec![51, 9, 102, 9]));
        assert_eq!(gray.color(1, 0), [0.4; 3]);
        let wide = picture(Layout::Rgba, Samples::U16(vec![0, 0, 0, 0, 13107, 26214, 39321, 7]));
        assert_eq!(wide.color(1, 0), [0.2, 0.4, 0.6]);
    }

    #[test]
    fn mixing_keeps_alpha_depth_and_what_is_outside() {
        let one = |x, _| (x == 1).then_some(Over { color: [1.0, 0.5, -3.0], weight: 0.5 });
        let whole = |width| Window { x: 0, y: 0, width, height: 1 };
        let mut rgba = picture(Layout::Rgba, Samples::U16(vec![10, 20, 30, 40, 1000, 1000, 1000, 40]));
        rgba.mix(whole(2), one);
        assert_eq!(rgba.samples, Samples::U16(vec![10, 20, 30, 40, 33268, 16884, 500, 40]));
        let mut gray = picture(Layout::GrayAlpha, Samples::U8(vec![10, 40, 100, 40]));
        gray.mix(whole(2), |x, _| (x == 1).then_some(Over { color: [1.0, 0.0, 0.0], weight: 1.0 }));
        assert_eq!(gray.samples, Samples::U8(vec![10, 40, 76, 40]));
        let mut same = picture(Layout::Rgb, Samples::U8(vec![1, 2, 3]));
        same.mix(whole(1), |_, _| Some(Over { color: [0.9; 3], weight: 0.0 }));
        assert_eq!(same.samples, Samples::U8(vec![1, 2, 3]));
    }
}
