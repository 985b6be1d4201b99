//! What can be known of an upload without decoding it: format by its bytes, dimensions by its header, whether the
//! file is whole.
//!
//! The API refuses here what no worker could use; no pixel is allocated.

use std::io::{BufRead, Seek, SeekFrom};

use image::{ImageFormat, ImageReader};

use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{InputInfo, PictureFormat, Scale};

/// Limits on pixels, before and after enlarging.
#[derive(Debug, Clone, Copy)]
pub struct PixelLimits {
    pub input: u64,
    pub output: u64,
}

impl PixelLimits {
    /// Refuses a picture of `width` x `height` that is too large, or would be at `scale`.
    pub fn check(&self, width: u32, height: u32, scale: Scale) -> Result<(), JobError> {
        let too_large = |what: String, limit: u64, name: &str| {
            let message = format!("{what} pixels; at most {limit} are accepted ({name}).");
            Err(JobError::new(ErrorCode::ImageTooLarge, message))
        };
        let pixels = u64::from(width) * u64::from(height);
        let output = pixels.saturating_mul(u64::from(scale.factor()).pow(2));
        if pixels > self.input {
            too_large(format!("The image, {width}x{height}, has {pixels}"), self.input, "MAX_INPUT_PIXELS")
        } else if output > self.output {
            let what = format!("The result at scale {} would have {output}", scale.factor());
            too_large(what, self.output, "MAX_OUTPUT_PIXELS")
        } else {
            Ok(())
        }
    }
}

/// Reads the header of `file` (`bytes` long).
///
/// # Errors
/// `unsupported_format` when the bytes are none of JPEG, PNG, WebP, TIFF; `image_corrupt` when the header cannot be
/// read or the file ends before its picture does.
pub fn inspect(mut file: impl BufRead + Seek, bytes: u64, filename: Option<String>) -> Result<InputInfo, JobError> {
    let format = sniff(&mut file)?;
    if !is_whole(&mut file, format, bytes).map_err(|_| corrupt(format))? {
        return Err(JobError::new(ErrorCode::ImageCorrupt, "The file ends before its picture does; it is truncated."));
    }
    file.rewind().map_err(|_| corrupt(format))?;
    let (width, height) =
        ImageReader::with_format(&mut file, image_format(format)).into_dimensions().map_err(|_| corrupt(format))?;
    if width == 0 || height == 0 {
        return Err(corrupt(format));
    }
    Ok(InputInfo { filename, format: Some(format), width, height, bytes })
}

/// The format for the decoder.
pub fn image_format(format: PictureFormat) -> ImageFormat {
    match format {
        PictureFormat::Jpeg => ImageFormat::Jpeg,
        PictureFormat::Png => ImageFormat::Png,
        PictureFormat::Webp => ImageFormat::WebP,
        PictureFormat::Tiff => ImageFormat::Tiff,
    }
}

fn corrupt(format: PictureFormat) -> JobError {
    JobError::new(ErrorCode::ImageCorrupt, format!("The file begins like a {format:?} but its header cannot be read."))
}

fn sniff(file: &mut (impl BufRead + Seek)) -> Result<PictureFormat, JobError> {
    let unsupported = || {
        JobError::new(
            ErrorCode::UnsupportedFormat,
            "The bytes are not an image this service reads; it accepts JPEG, PNG, WebP and TIFF.",
        )
    };
    let mut head = [0; 16];
    let mut filled = 0;
    while filled < head.len() {
        match file.read(&mut head[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(_) => return Err(unsupported()),
        }
    }
    match image::guess_format(&head[..filled]) {
        Ok(ImageFormat::Jpeg) => Ok(PictureFormat::Jpeg),
        Ok(ImageFormat::Png) => Ok(PictureFormat::Png),
        Ok(ImageFormat::WebP) => Ok(PictureFormat::Webp),
        Ok(ImageFormat::Tiff) => Ok(PictureFormat::Tiff),
        _ => Err(unsupported()),
    }
}

/// Whether the file reaches its format's end mark. Decoders fill what is missing with gray, so this is checked here.
/// What follows the mark does not matter: cameras append things.
fn is_whole(file: &mut (impl BufRead + Seek), format: PictureFormat, bytes: u64) -> std::io::Result<bool> {
    match format {
        PictureFormat::Jpeg => jpeg_is_whole(file),
        PictureFormat::Png => png_is_whole(file),
        PictureFormat::Webp => {
            // RIFF: bytes 4..8 hold the length of all that follows them.
            let mut length = [0; 4];
            file.seek(SeekFrom::Start(4))?;
            file.read_exact(&mut length)?;
            Ok(u64::from(u32::from_le_bytes(length)) + 8 <= bytes)
        }
        // A TIFF's strips may lie anywhere; its decoder fails when one is missing.
        PictureFormat::Tiff => Ok(true),
    }
}

/// Segments or chunks looked at: no picture has so many, and looking costs time.
const MARKERS: usize = 200_000;

fn jpeg_is_whole(file: &mut (impl BufRead + Seek)) -> std::io::Result<bool> {
    // Marker segments up to the first start of scan (FFDA), each with its own length, so that the end mark of a
    // thumbnail inside EXIF is not taken for the picture's.
    file.seek(SeekFrom::Start(2))?;
    for _ in 0..MARKERS {
        let [mut fill, mut marker] = [0; 2];
        if read(file, std::slice::from_mut(&mut fill)).is_none() || fill != 0xFF {
            return Ok(false);
        }
        while read(file, std::slice::from_mut(&mut marker)).is_some() && marker == 0xFF {}
        match marker {
            0xDA => return contains(file, &[0xFF, 0xD9]),
            0x01 | 0xD0..=0xD8 => {}
            _ => {
                let mut length = [0; 2];
                let Some(()) = read(file, &mut length) else { return Ok(false) };
                let Some(rest) = u16::from_be_bytes(length).checked_sub(2) else { return Ok(false) };
                file.seek_relative(rest.into())?;
            }
        }
    }
    Ok(false)
}

fn png_is_whole(file: &mut (impl BufRead + Seek)) -> std::io::Result<bool> {
    file.seek(SeekFrom::Start(8))?;
    for _ in 0..MARKERS {
        let mut chunk = [0; 8];
        let Some(()) = read(file, &mut chunk) else { return Ok(false) };
        if &chunk[4..] == b"IEND" {
            return Ok(true);
        }
        let length = u32::from_be_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        file.seek_relative(i64::from(length) + 4)?;
    }
    Ok(false)
}

/// Fills `buffer`, or is `None` at the end of the file.
fn read(file: &mut impl BufRead, buffer: &mut [u8]) -> Option<()> {
    file.read_exact(buffer).ok()
}

/// Whether `needle` (two bytes) occurs from here on.
fn contains(file: &mut impl BufRead, needle: &[u8; 2]) -> std::io::Result<bool> {
    let mut last = 0_u8;
    loop {
        let buffer = file.fill_buf()?;
        let Some((&first, &end)) = buffer.first().zip(buffer.last()) else { return Ok(false) };
        if [last, first] == *needle || memchr::memmem::find(buffer, needle).is_some() {
            return Ok(true);
        }
        last = end;
        let taken = buffer.len();
        file.consume(taken);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use image::{DynamicImage, RgbImage};

    use super::*;

    fn encoded(format: ImageFormat) -> Vec<u8> {
        let picture = RgbImage::from_fn(40, 30, |x, y| image::Rgb([(x * 6) as u8, (y * 8) as u8, (x * y) as u8]));
        let mut out = Cursor::new(Vec::new());
        DynamicImage::ImageRgb8(picture).write_to(&mut out, format).unwrap();
        out.into_inner()
    }

    fn code(bytes: &[u8]) -> Result<InputInfo, ErrorCode> {
        inspect(Cursor::new(bytes), bytes.len() as u64, None).map_err(|error| error.code)
    }

    #[test]
    fn the_bytes_decide_the_format() {
        for (format, expected) in [
            (ImageFormat::Jpeg, PictureFormat::Jpeg),
            (ImageFormat::Png, PictureFormat::Png),
            (ImageFormat::WebP, PictureFormat::Webp),
            (ImageFormat::Tiff, PictureFormat::Tiff),
        ] {
            let info = code(&encoded(format)).unwrap();
            assert_eq!((info.format, info.width, info.height), (Some(expected), 40, 30));
        }
        for bytes in [&b"just some text"[..], b"", b"GIF89a\x01\x00\x01\x00\x80\x00\x00", b"\xFF"] {
            assert_eq!(code(bytes), Err(ErrorCode::UnsupportedFormat));
        }
    }

    #[test]
    fn a_file_cut_anywhere_is_corrupt_or_unknown() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let whole = encoded(format);
            // A PNG may lose the checksum of its end chunk, which holds nothing.
            for cut in 0..whole.len() - 4 {
                assert!(code(&whole[..cut]).is_err(), "{format:?} cut to {cut} of {}", whole.len());
            }
        }
    }

    #[test]
    fn what_follows_the_picture_does_not_matter() {
        for format in [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP] {
            let mut bytes = encoded(format);
            bytes.extend_from_slice(&[0; 100]);
            assert!(code(&bytes).is_ok());
        }
    }

    #[test]
    fn a_thumbnail_does_not_make_a_jpeg_whole() {
        let whole = encoded(ImageFormat::Jpeg);
        let mut bytes = whole[..2].to_vec();
        bytes.extend_from_slice(&[0xFF, 0xE1, 0, 6, 0xFF, 0xD8, 0xFF, 0xD9]);
        bytes.extend_from_slice(&whole[2..]);
        assert!(code(&bytes).is_ok());
        bytes.truncate(bytes.len() - 2);
        assert_eq!(code(&bytes), Err(ErrorCode::ImageCorrupt));
    }

    #[test]
    fn endless_markers_are_given_up_on() {
        for filler in [&[0xFF_u8, 0xD0][..], &[0xFF]] {
            let mut bytes = vec![0xFF, 0xD8, 0xFF, 0xE0, 0, 2];
            bytes.extend(filler.iter().cycle().take(2_000_000));
            assert_eq!(code(&bytes), Err(ErrorCode::ImageCorrupt));
        }
    }

    #[test]
    fn limits_name_the_setting() {
        let limits = PixelLimits { input: 1000, output: 4000 };
        assert!(limits.check(10, 100, Scale::X2).is_ok());
        let error = limits.check(10, 101, Scale::X2).unwrap_err();
        assert_eq!(error.code, ErrorCode::ImageTooLarge);
        assert!(error.message.contains("MAX_INPUT_PIXELS"));
        assert!(limits.check(10, 100, Scale::X4).unwrap_err().message.contains("MAX_OUTPUT_PIXELS"));
        assert!(limits.check(u32::MAX, u32::MAX, Scale::X4).is_err());
    }
}
