//! Small pictures for unit tests.

use proptest::prelude::*;

use super::layout::Layout;
use super::raster::{Metadata, Picture, Samples};

/// The four layouts.
pub(crate) const LAYOUTS: [Layout; 4] = [Layout::Gray, Layout::GrayAlpha, Layout::Rgb, Layout::Rgba];

/// Bits per sample.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Depth {
    Eight,
    Sixteen,
}

/// A picture of one row, as long as `samples` are.
pub(crate) fn picture(layout: Layout, samples: Samples) -> Picture {
    let length = match &samples {
        Samples::U8(samples) => samples.len(),
        Samples::U16(samples) => samples.len(),
    };
    Picture { width: length / layout.channels(), height: 1, layout, samples, metadata: Metadata::default() }
}

/// A picture without two equal neighbours, so that a misplaced pixel shows.
pub(crate) fn pattern(width: usize, height: usize, layout: Layout, depth: Depth) -> Picture {
    let indices = 0..width * height * layout.channels();
    let samples = match depth {
        Depth::Eight => Samples::U8(indices.map(|index| (index * 31 % 253) as u8).collect()),
        Depth::Sixteen => Samples::U16(indices.map(|index| (index * 619 % 65521) as u16).collect()),
    };
    Picture { width, height, ..picture(layout, samples) }
}

/// Any samples in any layout and depth, up to 12 x 12 pixels.
pub(crate) fn any_picture() -> impl Strategy<Value = Picture> {
    let shape = (1_usize..=12, 1_usize..=12, prop::sample::select(LAYOUTS.as_slice()));
    shape.prop_flat_map(|(width, height, layout)| {
        let length = width * height * layout.channels();
        let samples = prop_oneof![
            prop::collection::vec(any::<u8>(), length).prop_map(Samples::U8),
            prop::collection::vec(any::<u16>(), length).prop_map(Samples::U16),
        ];
        samples.prop_map(move |samples| Picture { width, height, ..picture(layout, samples) })
    })
}

/// The samples of a picture of 8 bits.
pub(crate) fn eight_bit(picture: &Picture) -> &[u8] {
    let Samples::U8(samples) = &picture.samples else { panic!("the picture has 16 bits per sample") };
    samples
}
