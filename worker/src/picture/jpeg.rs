//! JPEG files whose data end too early. A decoder fills with gray what is missing, and an end mark behind it makes the file look whole.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, RgbImage};
use remaster_pictures::header::baseline_scan;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const END: [u8; 2] = [0xFF, 0xD9];
/// What stands in the place of the end mark: more than the decoder reads ahead, and too little for many blocks.
const PADDING: [u8; 64] = [0; 64];
/// What the decoder says where the data have ended before a row of blocks.
const ENDED: &str = "Premature end of buffer";

/// The picture of a baseline JPEG of gray or of three colours that keeps to the standard. `None` where a more lenient decoder is to be tried.
///
/// The decoder takes an end mark for the end of the picture, wherever it stands. So it is given the data without the mark, and has to be done
/// before they end.
///
/// # Errors
/// The data end before the picture does.
pub(super) fn decode(jpeg: &[u8]) -> Result<Option<DynamicImage>, &'static str> {
    let Some(unended) = unended(jpeg) else { return Ok(None) };
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(usize::MAX).set_max_height(usize::MAX);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(unended), options);
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
        Err(DecodeErrors::ExhaustedData) => Err("its data end before the picture does"),
        Err(error) if error.to_string().contains(ENDED) => Err("its data end before the picture does"),
        Err(_) => Ok(None),
    }
}

/// The file up to its end mark, and padding.
fn unended(jpeg: &[u8]) -> Option<Vec<u8>> {
    let scan = usize::try_from(baseline_scan(&mut Cursor::new(jpeg))?).ok()?;
    // Within the data of a scan no byte follows FF but 0 and the marks of restarts.
    let end = jpeg.get(scan..)?.windows(2).position(|two| two == END)?;
    Some([&jpeg[..scan + end], &PADDING].concat())
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder};

    use super::*;

    fn photo(side: u16, sample: impl Fn(u32) -> u8) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let samples: Vec<u8> = (0..u32::from(side).pow(2) * 3).map(sample).collect();
        Encoder::new(&mut jpeg, 80).encode(&samples, side, side, ColorType::Rgb).unwrap();
        jpeg
    }

    #[test]
    fn a_file_that_was_cut_and_then_ended_is_not_whole() {
        let whole = photo(200, |at| (at.wrapping_mul(2_654_435_761) >> 24) as u8);
        let picture = decode(&whole).unwrap().expect("it is read");
        assert_eq!(picture.as_bytes(), image::load_from_memory(&whole).unwrap().as_bytes());
        for part in [3, 5, 9] {
            let cut = [&whole[..whole.len() * part / 10], &END].concat();
            assert!(decode(&cut).is_err(), "{part} tenths");
        }
    }

    #[test]
    fn a_picture_whose_rows_take_a_few_bytes_is_whole() {
        for side in [1, 8, 9, 100, 1000] {
            assert!(decode(&photo(side, |_| 90)).unwrap().is_some(), "{side}");
        }
    }
}
