//! JPEG files to pixels, the same to the bit as libjpeg-turbo makes of them.

use std::io::Cursor;

use image::codecs::jpeg::JpegDecoder;
use image::{DynamicImage, GrayImage, RgbImage};
use libjpeg_turbo_rs::{DecodeLimits, Decoder, DensityInfo, DensityUnit, FrameHeader, JpegError, PixelFormat};

use super::raster::{Chunk, Metadata};
use super::{cmyk, density, scans};

/// What the segment of an XMP packet begins with, in part 3 of its specification.
pub(super) const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// The marker of such a segment.
const APP1: u8 = 0xE1;

/// The most scans of a progressive file. Programs write about ten, and each takes the time of a whole picture.
const MAX_SCANS: usize = 500;

/// Decodes a picture of at most `pixels` pixels. The decoder may allocate about `limit` bytes.
///
/// # Errors
/// The file is damaged, ends too early, or is of a kind that is not read.
pub(super) fn decode(jpeg: &[u8], pixels: u64, limit: u64) -> Result<(DynamicImage, Metadata), JpegError> {
    let limits = DecodeLimits {
        max_width: usize::MAX,
        max_height: usize::MAX,
        max_pixels: pixels,
        max_scans: MAX_SCANS,
        max_memory: Some(limit),
    };
    let mut decoder = Decoder::new_with_limits(jpeg, limits)?;
    let frame = decoder.header();
    if frame.precision != 8 || frame.is_lossless || decoder.is_arithmetic() {
        return Err(JpegError::Unsupported("its samples are not 8 bits in Huffman codes".to_owned()));
    }
    if frame.width == 0 || frame.height == 0 {
        return Err(JpegError::CorruptData("it has no pixels".to_owned()));
    }
    let (width, height) = (frame.width.into(), frame.height.into());
    let is_usual = is_usually_sampled(frame) && (frame.is_progressive || scans::are_of_one_kind(jpeg));
    let format = match frame.components.len() {
        1 => PixelFormat::Grayscale,
        3 => PixelFormat::Rgb,
        4 => PixelFormat::Cmyk,
        channels => return Err(JpegError::Unsupported(format!("{channels} channels"))),
    };
    decoder.set_output_format(format);
    let mut metadata = Metadata {
        // A profile that is not whole is none.
        icc: decoder.icc_profile().ok().flatten(),
        exif: decoder.exif_data().map(<[u8]>::to_vec),
        xmp: xmp(jpeg),
        iptc: decoder.iptc_data().map(<[u8]>::to_vec),
        chunks: density(decoder.density()).into_iter().collect(),
    };
    if !scans::are_complete(jpeg) {
        return Err(JpegError::UnexpectedEof);
    }
    if !is_usual {
        // It makes colours of inks without a profile.
        metadata.icc.take_if(|_| format == PixelFormat::Cmyk);
        return Ok((by_another_decoder(jpeg)?, metadata));
    }
    let samples = decoder.decode_image()?.data;
    let image = match format {
        PixelFormat::Grayscale => GrayImage::from_raw(width, height, samples).map(DynamicImage::from),
        PixelFormat::Cmyk => {
            // The colours are sRGB then.
            let rgb = cmyk::to_rgb(&samples, metadata.icc.take().as_deref());
            RgbImage::from_raw(width, height, rgb).map(DynamicImage::from)
        }
        _ => RgbImage::from_raw(width, height, samples).map(DynamicImage::from),
    };
    let image = image.ok_or_else(|| JpegError::CorruptData("its size and its samples differ".to_owned()))?;
    Ok((image, metadata))
}

/// Whether brightness, or the first ink, and black have every pixel, and the other two channels share a part of them.
fn is_usually_sampled(frame: &FrameHeader) -> bool {
    let sides: Vec<(u8, u8)> =
        frame.components.iter().map(|one| (one.horizontal_sampling, one.vertical_sampling)).collect();
    let whole = |of: (u8, u8), part: (u8, u8)| {
        part.0 != 0 && part.1 != 0 && of.0.is_multiple_of(part.0) && of.1.is_multiple_of(part.1)
    };
    match sides[..] {
        [first, second, third] => second == third && whole(first, second),
        [first, second, third, black] => black == first && second == third && whole(first, second),
        _ => true,
    }
}

/// The picture of a file that the other decoder does not read, within a few steps of what libjpeg-turbo makes of it.
fn by_another_decoder(jpeg: &[u8]) -> Result<DynamicImage, JpegError> {
    let decoder = JpegDecoder::new(Cursor::new(jpeg));
    decoder.and_then(DynamicImage::from_decoder).map_err(|error| JpegError::CorruptData(error.to_string()))
}

/// The XMP packet without its extension, which is a document of its own.
fn xmp(jpeg: &[u8]) -> Option<String> {
    let packet = |(marker, content): (u8, &[u8])| {
        (marker == APP1).then(|| content.strip_prefix(XMP).map(<[u8]>::to_vec)).flatten()
    };
    String::from_utf8(scans::segments(jpeg).find_map(packet)?).ok()
}

fn density(said: &DensityInfo) -> Option<Chunk> {
    let units = match said.unit {
        DensityUnit::Dpi => density::INCHES,
        DensityUnit::Dpcm => density::CENTIMETRES,
        DensityUnit::Unknown => return None,
    };
    density::chunk([said.x.into(), said.y.into()], units)
}

#[cfg(test)]
mod tests {
    use jpeg_encoder::{ColorType, Encoder};

    use super::*;

    const END: [u8; 2] = [0xFF, 0xD9];

    fn decoded(jpeg: &[u8]) -> Result<DynamicImage, JpegError> {
        decode(jpeg, 1 << 20, 1 << 26).map(|(image, _)| image)
    }

    fn encoded(side: u16, sample: impl Fn(u32) -> u8, is_progressive: bool) -> Vec<u8> {
        let mut jpeg = Vec::new();
        let samples: Vec<u8> = (0..u32::from(side).pow(2) * 3).map(sample).collect();
        let mut encoder = Encoder::new(&mut jpeg, 80);
        encoder.set_progressive(is_progressive);
        encoder.encode(&samples, side, side, ColorType::Rgb).unwrap();
        jpeg
    }

    fn noise(at: u32) -> u8 {
        (at.wrapping_mul(2_654_435_761) >> 24) as u8
    }

    #[test]
    fn a_file_that_was_cut_and_then_ended_is_not_whole() {
        for is_progressive in [false, true] {
            let whole = encoded(200, noise, is_progressive);
            assert_eq!(decoded(&whole).unwrap().width(), 200);
            for hundredths in (20..100).step_by(3) {
                let cut = [&whole[..whole.len() * hundredths / 100], &END].concat();
                let error = decoded(&cut).unwrap_err();
                assert!(matches!(error, JpegError::UnexpectedEof), "{hundredths} hundredths: {error}");
            }
        }
    }

    #[test]
    fn a_progressive_file_that_was_cut_between_two_scans_is_not_whole() {
        let whole = encoded(60, noise, true);
        let starts: Vec<usize> = (0..whole.len() - 1).filter(|at| whole[*at..*at + 2] == [0xFF, 0xDA]).collect();
        assert!(starts.len() > 2, "{}", starts.len());
        for start in &starts[1..] {
            let cut = [&whole[..*start], &END].concat();
            assert!(matches!(decoded(&cut), Err(JpegError::UnexpectedEof)), "before byte {start}");
        }
    }

    #[test]
    fn a_picture_whose_rows_take_a_few_bytes_is_whole() {
        for side in [1, 8, 9, 100, 1000] {
            for is_progressive in [false, true] {
                assert!(decoded(&encoded(side, |_| 90, is_progressive)).is_ok(), "{side}");
            }
        }
    }

    #[test]
    fn a_picture_that_is_too_large_is_refused_before_it_is_decoded() {
        let error = decode(&encoded(100, noise, false), 100 * 100 - 1, 1 << 26).unwrap_err();
        assert!(matches!(error, JpegError::LimitExceeded { .. }), "{error}");
        let error = decode(&encoded(100, noise, true), 100 * 100, 100 * 100 * 6).unwrap_err();
        assert!(matches!(error, JpegError::LimitExceeded { .. }), "{error}");
    }
}
