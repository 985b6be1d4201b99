//! JPEG files to pixels, the same to the bit as libjpeg-turbo makes of them.

use image::{DynamicImage, GrayImage, RgbImage};
use libjpeg_turbo_rs::{ColorSpace, DecodeLimits, Decoder, DensityInfo, DensityUnit, JpegError, PixelFormat};

use super::raster::{Chunk, Metadata};
use super::{cmyk, density, scans};

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
    let (width, height) = (frame.width.into(), frame.height.into());
    let format = match decoder.jpeg_color_space() {
        ColorSpace::Grayscale => PixelFormat::Grayscale,
        ColorSpace::YCbCr | ColorSpace::Rgb => PixelFormat::Rgb,
        ColorSpace::Cmyk | ColorSpace::Ycck => PixelFormat::Cmyk,
        ColorSpace::Unknown => return Err(JpegError::Unsupported("a number of channels with no meaning".to_owned())),
    };
    decoder.set_output_format(format);
    let mut metadata = Metadata {
        // A profile that is not whole is none.
        icc: decoder.icc_profile().ok().flatten(),
        exif: decoder.exif_data().map(<[u8]>::to_vec),
        xmp: decoder.xmp_data().and_then(|xmp| String::from_utf8(xmp.to_vec()).ok()),
        iptc: decoder.iptc_data().map(<[u8]>::to_vec),
        chunks: density(decoder.density()).into_iter().collect(),
    };
    let samples = decoder.decode_image()?.data;
    if !scans::are_complete(jpeg) {
        return Err(JpegError::UnexpectedEof);
    }
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
