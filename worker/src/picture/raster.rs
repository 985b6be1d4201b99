//! A decoded picture.

use super::layout::Layout;

/// Interleaved samples, row by row. Black and transparent are 0; white and opaque are the type's largest value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// 8 bits per sample.
    U8(Vec<u8>),
    /// 16 bits per sample.
    U16(Vec<u16>),
}

/// What a picture file carries besides pixels and what its result keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The ICC colour profile.
    pub icc: Option<Vec<u8>>,
    /// The raw EXIF block without its orientation, which has been applied to the pixels.
    pub exif: Option<Vec<u8>>,
}

/// An upright picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The width in pixels.
    pub width: usize,
    /// The height in pixels.
    pub height: usize,
    /// The channels of each pixel.
    pub layout: Layout,
    /// `width * height * layout.channels()` samples.
    pub samples: Samples,
    /// What the file carried besides the pixels.
    pub metadata: Metadata,
}

impl Picture {
    /// A black (and transparent) picture of `scale` times this one's width and height, in its layout and depth and with
    /// its metadata.
    pub fn canvas(&self, scale: usize) -> Picture {
        self.blank(self.width * scale, self.height * scale)
    }

    /// A black (and transparent) picture of `width` x `height` pixels, in this one's layout and depth and with its
    /// metadata.
    pub fn blank(&self, width: usize, height: usize) -> Picture {
        let length = width * height * self.layout.channels();
        let samples = match self.samples {
            Samples::U8(_) => Samples::U8(vec![0; length]),
            Samples::U16(_) => Samples::U16(vec![0; length]),
        };
        Picture { width, height, layout: self.layout, samples, metadata: self.metadata.clone() }
    }

    /// The alpha that all pixels share, in the depth of the samples; `None` when alpha differs between pixels or there
    /// is none.
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

    /// Sets the alpha of every pixel to `value`, which is in the depth of the samples. The layout has to have alpha.
    pub fn fill_alpha(&mut self, value: u16) {
        fn fill<T: Copy>(samples: &mut [T], channels: usize, value: T) {
            samples.iter_mut().skip(channels - 1).step_by(channels).for_each(|alpha| *alpha = value);
        }
        let channels = self.layout.channels();
        match &mut self.samples {
            Samples::U8(samples) => fill(samples, channels, value as u8),
            Samples::U16(samples) => fill(samples, channels, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::fixtures::{Depth, pattern};

    #[test]
    fn alpha_is_constant_only_where_it_is_the_same_everywhere() {
        let mut source = pattern(7, 5, Layout::Rgba, Depth::Sixteen);
        assert_eq!(source.constant_alpha(), None);
        source.fill_alpha(40_000);
        assert_eq!(source.constant_alpha(), Some(40_000));
        assert_eq!(pattern(7, 5, Layout::Rgb, Depth::Eight).constant_alpha(), None);
    }
}
