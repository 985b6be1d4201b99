//! Pictures in memory: decoded samples, and what has to survive besides them.
//!
//! Samples stay in the depth of the file (8 or 16 bits), interleaved; `f32` exists only tile by tile.

mod decode;
mod encode;
mod mix;
mod sample;
mod tensor;

pub use decode::decode;
pub use encode::{Encoded, encode};
pub use mix::Over;
pub use tensor::{Band, Window};

/// Channels of a picture, in the order of its samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    Gray,
    GrayAlpha,
    Rgb,
    Rgba,
}

impl Layout {
    pub fn channels(self) -> usize {
        match self {
            Layout::Gray => 1,
            Layout::GrayAlpha => 2,
            Layout::Rgb => 3,
            Layout::Rgba => 4,
        }
    }

    /// Channels that carry colour: they come first, alpha last.
    pub fn colors(self) -> usize {
        match self {
            Layout::Gray | Layout::GrayAlpha => 1,
            Layout::Rgb | Layout::Rgba => 3,
        }
    }

    pub fn has_alpha(self) -> bool {
        self.channels() > self.colors()
    }
}

/// Interleaved samples, row by row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    U8(Vec<u8>),
    U16(Vec<u16>),
}

/// What travels with the pixels.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    pub icc: Option<Vec<u8>>,
    /// Raw EXIF, its orientation already applied and taken out.
    pub exif: Option<Vec<u8>>,
}

/// A picture of `width` x `height` pixels, upright.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub layout: Layout,
    pub samples: Samples,
    pub metadata: Metadata,
}

impl Picture {
    /// A black (and transparent) picture of `scale` times this one's size, in its layout and depth.
    pub fn canvas(&self, scale: usize) -> Picture {
        self.blank(self.width * scale, self.height * scale)
    }

    /// A black (and transparent) picture of that size, in this one's layout and depth.
    pub fn blank(&self, width: usize, height: usize) -> Picture {
        let length = width * height * self.layout.channels();
        let samples = match self.samples {
            Samples::U8(_) => Samples::U8(vec![0; length]),
            Samples::U16(_) => Samples::U16(vec![0; length]),
        };
        Picture { width, height, layout: self.layout, samples, metadata: self.metadata.clone() }
    }

    /// The one value that alpha has everywhere, when it has just one, in the depth of the samples.
    pub fn constant_alpha(&self) -> Option<u16> {
        fn constant<T: Copy + PartialEq + Into<u16>>(samples: &[T], channels: usize) -> Option<u16> {
            let mut alphas = samples.iter().skip(channels - 1).step_by(channels);
            let first = *alphas.next()?;
            alphas.all(|alpha| *alpha == first).then(|| first.into())
        }
        let channels = self.layout.channels();
        match &self.samples {
            _ if !self.layout.has_alpha() => None,
            Samples::U8(samples) => constant(samples, channels),
            Samples::U16(samples) => constant(samples, channels),
        }
    }

    pub fn fill_alpha(&mut self, value: u16) {
        let channels = self.layout.channels();
        match &mut self.samples {
            Samples::U8(samples) => {
                samples.iter_mut().skip(channels - 1).step_by(channels).for_each(|a| *a = value as u8)
            }
            Samples::U16(samples) => samples.iter_mut().skip(channels - 1).step_by(channels).for_each(|a| *a = value),
        }
    }
}
