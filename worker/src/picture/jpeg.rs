//! JPEG files that end too early. A decoder fills with gray what is missing, and an end mark behind it makes the file look whole.

use image::{DynamicImage, GrayImage, RgbImage};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

/// What the decoder says of data that end before the last row of blocks.
const ENDS_EARLY: &str = "Premature end of buffer";

/// The picture of a JPEG of gray or of three colours that keeps to the standard. `None` where a more lenient decoder is to be tried.
///
/// # Errors
/// The data of the picture end before the picture does.
pub(super) fn decode(jpeg: &[u8]) -> Result<Option<DynamicImage>, &'static str> {
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(jpeg), options);
    if decoder.decode_headers().is_err() {
        return Ok(None);
    }
    let Some((width, height)) = decoder.dimensions() else { return Ok(None) };
    let is_gray = match decoder.input_colorspace() {
        Some(ColorSpace::Luma) => true,
        Some(ColorSpace::YCbCr | ColorSpace::RGB) => false,
        _ => return Ok(None),
    };
    decoder.set_options(options.jpeg_set_out_colorspace(if is_gray { ColorSpace::Luma } else { ColorSpace::RGB }));
    let (width, height) = (width as u32, height as u32);
    match decoder.decode() {
        Ok(samples) if is_gray => Ok(GrayImage::from_raw(width, height, samples).map(Into::into)),
        Ok(samples) => Ok(RgbImage::from_raw(width, height, samples).map(Into::into)),
        Err(error) if error.to_string().contains(ENDS_EARLY) => Err("its data end before the picture does"),
        Err(_) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder};

    use super::*;

    fn photo() -> Vec<u8> {
        let (mut jpeg, side) = (Vec::new(), 200_u32);
        let samples: Vec<u8> = (0..side * side * 3).map(|at| (at * at % 251) as u8).collect();
        Encoder::new(&mut jpeg, 80).encode(&samples, side as u16, side as u16, ColorType::Rgb).unwrap();
        jpeg
    }

    #[test]
    fn a_file_that_was_cut_and_then_ended_is_not_whole() {
        let whole = photo();
        assert!(decode(&whole).unwrap().is_some());
        for part in [3, 5, 9] {
            let mut cut = whole[..whole.len() * part / 10].to_vec();
            cut.extend([0xFF, 0xD9]);
            assert!(decode(&cut).is_err(), "{part} tenths");
        }
    }
}
