//! A decoded picture.

use super::exif;
use super::layout::Layout;
use super::sample::Sample;

/// Interleaved samples, row by row. Black and transparent are 0; white and opaque are the type's largest value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Samples {
    /// 8 bits per sample.
    U8(Vec<u8>),
    /// 16 bits per sample.
    U16(Vec<u16>),
}

impl Samples {
    /// The value of white, and of full opacity.
    pub fn max(&self) -> f32 {
        match self {
            Samples::U8(_) => <u8 as Sample>::MAX,
            Samples::U16(_) => <u16 as Sample>::MAX,
        }
    }
}

/// What a picture file carries besides pixels and what its result keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The ICC colour profile.
    pub icc: Option<Vec<u8>>,
    /// The raw EXIF block without its orientation, which has been applied to the pixels.
    pub exif: Option<Vec<u8>>,
    /// The XMP packet.
    pub xmp: Option<String>,
    /// The fields of IPTC, each with its own head, as its [information interchange model](https://www.iptc.org/std/IIM/4.2/) has them.
    pub iptc: Option<Vec<u8>>,
    /// What a PNG says of how its samples are to be shown.
    pub chunks: Vec<Chunk>,
}

impl Metadata {
    /// The EXIF block of a result of `width` x `height` pixels.
    pub fn exif_of(&self, width: usize, height: usize) -> Option<Vec<u8>> {
        Some(exif::with_size(self.exif.clone()?, (width, height)))
    }
}

/// A chunk of a PNG file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The chunk's name, such as `gAMA`.
    pub name: [u8; 4],
    /// The chunk's data.
    pub data: Vec<u8>,
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
}
