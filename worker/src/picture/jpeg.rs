//! JPEG files whose data end too early. A decoder fills with gray what is missing, and an end mark behind it makes the file look whole.

use std::io::Cursor;

use image::{DynamicImage, GrayImage, RgbImage};
use remaster_pictures::header::first_scan;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

const END: [u8; 2] = [0xFF, 0xD9];
/// What stands in the place of the end mark: more than the decoder reads ahead, and too little for many blocks.
const PADDING: [u8; 64] = [0; 64];
/// Bytes that are as good as any where data are missing.
const OTHER: [u8; 64] = [0x5A; 64];

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

/// The file up to its end mark, and padding, of a JPEG that is not progressive.
fn unended(jpeg: &[u8]) -> Option<Vec<u8>> {
    let (end, is_progressive) = end(jpeg)?;
    (!is_progressive).then(|| [&jpeg[..end], &PADDING].concat())
}

/// Where the end mark is, and whether the JPEG is progressive.
fn end(jpeg: &[u8]) -> Option<(usize, bool)> {
    let (scan, is_progressive) = first_scan(&mut Cursor::new(jpeg))?;
    let scan = usize::try_from(scan).ok()?;
    // Within the data of a scan no byte follows FF but 0 and the marks of restarts.
    let end = jpeg.get(scan..)?.windows(2).position(|two| two == END)?;
    Some((scan + end, is_progressive))
}

/// Whether `jpeg`, of which a decoder made `image`, is progressive and was cut within a scan and then ended.
///
/// A decoder takes zeros for what is missing. Where other bytes stand before the end mark it makes another picture then, and of a whole file
/// the same.
pub(super) fn is_cut_progressive(jpeg: &[u8], image: &DynamicImage) -> bool {
    let Some((end, true)) = end(jpeg) else { return false };
    let other = [&jpeg[..end], &OTHER, &END].concat();
    let decoder = image::codecs::jpeg::JpegDecoder::new(Cursor::new(&other));
    let made = decoder.and_then(DynamicImage::from_decoder);
    made.is_ok_and(|made| made.as_bytes() != image.as_bytes())
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder};

    use super::*;

    fn photo(side: u16, sample: impl Fn(u32) -> u8) -> Vec<u8> {
        encoded(side, sample, false)
    }

    fn encoded(side: u16, sample: impl Fn(u32) -> u8, is_progressive: bool) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let samples: Vec<u8> = (0..u32::from(side).pow(2) * 3).map(sample).collect();
        let mut encoder = Encoder::new(&mut jpeg, 80);
        encoder.set_progressive(is_progressive);
        encoder.encode(&samples, side, side, ColorType::Rgb).unwrap();
        jpeg
    }

    #[test]
    fn a_progressive_file_that_was_cut_and_then_ended_is_not_whole() {
        let noise = |at: u32| (at.wrapping_mul(2_654_435_761) >> 24) as u8;
        for (side, sample) in
            [(200, &noise as &dyn Fn(u32) -> u8), (64, &|at| (at / 50) as u8), (1, &|_| 90), (300, &|_| 90)]
        {
            let whole = encoded(side, sample, true);
            let seen = |jpeg: &[u8]| image::load_from_memory(jpeg).unwrap();
            assert!(!is_cut_progressive(&whole, &seen(&whole)), "{side}");
            if side == 200 {
                for hundredths in (20..100).step_by(3) {
                    let cut = [&whole[..whole.len() * hundredths / 100], &END].concat();
                    assert!(is_cut_progressive(&cut, &seen(&cut)), "{hundredths} hundredths");
                }
            }
        }
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
