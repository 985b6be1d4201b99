//! A finished picture on its way to a file: strips of rows, from top to bottom, so that no more than a few are in memory.

use super::layout::{Layout, Plane};
use super::raster::{Metadata, Picture, Samples};
use super::tensor::Patch;
use super::window::Window;

/// What is known of a picture before its rows are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The width in pixels.
    pub width: usize,
    /// The height in pixels.
    pub height: usize,
    /// The channels of each pixel.
    pub layout: Layout,
    /// Whether samples have 16 bits, and not 8.
    pub is_deep: bool,
    /// What the file carries besides the pixels.
    pub metadata: Metadata,
}

/// Some rows of a picture.
#[derive(Debug, PartialEq, Eq)]
pub struct Strip {
    /// The first row.
    pub top: usize,
    /// The rows, without metadata.
    pub rows: Picture,
}

impl Header {
    /// Of a picture of `width` x `height` pixels that is otherwise like `picture`.
    pub fn like(picture: &Picture, (width, height): (usize, usize)) -> Self {
        let is_deep = matches!(picture.samples, Samples::U16(_));
        Self { width, height, layout: picture.layout, is_deep, metadata: picture.metadata.clone() }
    }

    /// The whole picture, black (and transparent).
    pub(super) fn whole(self) -> Picture {
        let Strip { rows, .. } = self.strip(0, self.height);
        Picture { metadata: self.metadata, ..rows }
    }

    /// So many black (and transparent) rows from `top` on.
    pub fn strip(&self, top: usize, rows: usize) -> Strip {
        let length = self.width * rows * self.layout.channels();
        let samples = if self.is_deep { Samples::U16(vec![0; length]) } else { Samples::U8(vec![0; length]) };
        let metadata = Metadata::default();
        Strip { top, rows: Picture { width: self.width, height: rows, layout: self.layout, samples, metadata } }
    }
}

impl Strip {
    /// Writes a patch of the whole picture that lies in these rows.
    pub fn paste(&mut self, plane: Plane, patch: Patch) {
        let target = Window { y: patch.target.y - self.top as isize, ..patch.target };
        self.rows.paste(plane, &Patch { target, ..patch });
    }
}

impl Picture {
    /// Copies the rows of `strip` to where they belong in this picture, which has its width, layout and depth.
    pub(super) fn put(&mut self, strip: &Strip) {
        let start = strip.top * self.width * self.layout.channels();
        match (&mut self.samples, &strip.rows.samples) {
            (Samples::U8(all), Samples::U8(rows)) => all[start..][..rows.len()].copy_from_slice(rows),
            (Samples::U16(all), Samples::U16(rows)) => all[start..][..rows.len()].copy_from_slice(rows),
            _ => unreachable!("a picture has one depth"),
        }
    }

    /// Takes away the rows outside of `kept`.
    pub(crate) fn crop_rows(&mut self, kept: std::ops::Range<usize>) {
        let row = self.width * self.layout.channels();
        self.height = kept.len();
        match &mut self.samples {
            Samples::U8(samples) => crop(samples, kept.start * row..kept.end * row),
            Samples::U16(samples) => crop(samples, kept.start * row..kept.end * row),
        }
    }

    /// Appends the rows of `below`, which has this one's width, layout and depth.
    pub fn append(&mut self, below: Picture) {
        self.height += below.height;
        match (&mut self.samples, below.samples) {
            (Samples::U8(all), Samples::U8(rows)) => all.extend(rows),
            (Samples::U16(all), Samples::U16(rows)) => all.extend(rows),
            _ => unreachable!("a picture has one depth"),
        }
    }
}

fn crop<T>(samples: &mut Vec<T>, kept: std::ops::Range<usize>) {
    samples.truncate(kept.end);
    samples.drain(..kept.start);
}
