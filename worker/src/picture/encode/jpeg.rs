//! JPEG: 8 bits, no transparency.

use std::io::Write;

use jpeg_encoder::{
    ChromaSubsamplingMethod, Encoder, ImageBuffer, JpegColorType, PixelDensity, PixelDensityUnit, rgb_to_ycbcr,
};
use remaster_shared::job::Quality;

use super::EncodeError;
use crate::picture::iptc;
use crate::picture::jpeg::XMP;
use crate::picture::{Layout, Picture};

/// Writes `picture` row by row. Colours are halved along both sides below a quality of 90, as is usual.
///
/// The tables of codes are the usual ones: tables of its own would need all coefficients of the picture in memory, for a file that is a few
/// percent smaller.
pub(super) fn write(picture: &Picture, quality: Quality, out: impl Write) -> Result<(), EncodeError> {
    let mut encoder = Encoder::new(out, quality.percent());
    encoder.set_chroma_subsampling_method(ChromaSubsamplingMethod::Average);
    if let Some(density) = density(picture) {
        encoder.set_density(density);
    }
    // Metadata that a segment has no room for is left out.
    let metadata = &picture.metadata;
    let segments = [
        metadata.icc.as_ref().map(|icc| encoder.add_icc_profile(icc)),
        metadata.exif_of(picture.width, picture.height).map(|exif| encoder.add_exif_metadata(&exif)),
        metadata.xmp.as_ref().map(|xmp| encoder.add_app_segment(1, [XMP, xmp.as_bytes()].concat())),
        metadata.iptc.as_ref().map(|iptc| encoder.add_app_segment(13, iptc::segment(iptc))),
    ];
    for error in segments.into_iter().flatten().filter_map(Result::err) {
        tracing::debug!(%error, "a JPEG is written without some of its metadata");
    }
    Ok(encoder.encode_image(Rows(picture))?)
}

/// The density that the picture came with, in whole dots per centimetre.
fn density(picture: &Picture) -> Option<PixelDensity> {
    let chunk = picture.metadata.chunks.iter().find(|chunk| &chunk.name == b"pHYs")?;
    let [x @ .., _, _, _, _, 1] = <[u8; 9]>::try_from(chunk.data.as_slice()).ok()? else { return None };
    let y = [chunk.data[4], chunk.data[5], chunk.data[6], chunk.data[7]];
    let per_centimetre = |per_metre: [u8; 4]| u16::try_from((u32::from_be_bytes(per_metre) + 50) / 100).ok();
    let density = (per_centimetre(x)?, per_centimetre(y)?);
    Some(PixelDensity { density, unit: PixelDensityUnit::Centimeters })
}

/// The picture as the encoder reads it, on white.
struct Rows<'a>(&'a Picture);

impl ImageBuffer for Rows<'_> {
    fn get_jpeg_color_type(&self) -> JpegColorType {
        match self.0.layout {
            Layout::Gray | Layout::GrayAlpha => JpegColorType::Luma,
            Layout::Rgb | Layout::Rgba => JpegColorType::Ycbcr,
        }
    }

    fn width(&self) -> u16 {
        self.0.width as u16
    }

    fn height(&self) -> u16 {
        self.0.height as u16
    }

    fn fill_buffers(&self, y: u16, buffers: &mut [Vec<u8>; 4]) {
        for pixel in self.0.row_of_bytes(y.into()).chunks_exact(self.0.layout.channels()) {
            match *pixel {
                [gray] => buffers[0].push(gray),
                [gray, alpha] => buffers[0].push(on_white(gray, alpha)),
                [r, g, b] => push(buffers, [r, g, b]),
                [r, g, b, alpha] => push(buffers, [r, g, b].map(|colour| on_white(colour, alpha))),
                _ => unreachable!("a pixel has one to four samples"),
            }
        }
    }
}

fn push(buffers: &mut [Vec<u8>; 4], [r, g, b]: [u8; 3]) {
    let (y, cb, cr) = rgb_to_ycbcr(r, g, b);
    buffers.iter_mut().zip([y, cb, cr]).for_each(|(buffer, value)| buffer.push(value));
}

fn on_white(colour: u8, alpha: u8) -> u8 {
    let [colour, alpha] = [colour, alpha].map(u32::from);
    ((colour * alpha + 255 * (255 - alpha) + 127) / 255) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_transparent_is_white() {
        assert_eq!([on_white(10, 0), on_white(10, 255), on_white(0, 128), on_white(255, 7)], [255, 10, 127, 255]);
    }
}
