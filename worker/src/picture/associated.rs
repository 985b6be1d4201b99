//! Alpha that colours have been multiplied by, as TIFF files may have it.

use std::io::Cursor;

use ::tiff::decoder::Decoder;
use ::tiff::tags::Tag;

use super::raster::{Picture, Samples};
use super::sample::Sample;

/// The value of the tag `ExtraSamples` for associated alpha, in TIFF 6.0.
const ASSOCIATED: u16 = 1;

/// Whether the alpha of a TIFF file is associated: its colours have been multiplied by it.
pub(super) fn has_associated_alpha(tiff: &[u8]) -> bool {
    let extra =
        Decoder::new(Cursor::new(tiff)).and_then(|mut decoder| decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples));
    extra.is_ok_and(|extra| extra.is_some_and(|extra| extra.first() == Some(&ASSOCIATED)))
}

impl Picture {
    /// Divides the colours by the alpha that they have been multiplied by.
    pub(super) fn divide_by_alpha(&mut self) {
        let channels = self.layout.channels();
        if self.layout.has_alpha() {
            match &mut self.samples {
                Samples::U8(samples) => samples.chunks_exact_mut(channels).for_each(divide),
                Samples::U16(samples) => samples.chunks_exact_mut(channels).for_each(divide),
            }
        }
    }
}

fn divide<T: Sample>(pixel: &mut [T]) {
    if let Some((alpha, colours)) = pixel.split_last_mut() {
        let alpha = alpha.to_f32();
        if alpha > 0.0 {
            colours.iter_mut().for_each(|colour| *colour = T::from_f32(colour.to_f32() / alpha * T::MAX + 0.5));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::Layout;
    use crate::picture::fixtures::picture;

    #[test]
    fn colours_are_divided_by_their_alpha() {
        let mut row = picture(Layout::Rgba, Samples::U8(vec![64, 0, 128, 128, 9, 8, 7, 0, 5, 6, 7, 255]));
        row.divide_by_alpha();
        assert_eq!(row.samples, Samples::U8(vec![128, 0, 255, 128, 9, 8, 7, 0, 5, 6, 7, 255]));
    }
}
