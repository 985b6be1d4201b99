//! The header of a picture file.

use std::io::{BufRead, Seek};

use image::{ImageDecoder, ImageError, ImageFormat, ImageReader};
use png::ColorType;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{InputInfo, PictureFormat};

use super::frames::frames;
use super::whole::is_whole;
use super::{heif, jpeg};
use crate::tiff::{self, Kind};

/// The first bytes of a BigTIFF, whose offsets have 64 bits, in either order of bytes.
const BIG_TIFF: [&[u8]; 2] = [b"II\x2B\0", b"MM\0\x2B"];

/// Reads the format and the size in pixels of `file`, which is `bytes` long; `filename` is passed on.
///
/// # Errors
/// `unsupported_format` when the bytes are none of JPEG, PNG, WebP, TIFF, GIF, BMP and HEIC, or of a kind of these that is not read;
/// `image_corrupt` when the header cannot be read or the file ends before its picture does.
pub fn inspect(mut file: impl BufRead + Seek, bytes: u64, filename: Option<String>) -> Result<InputInfo, JobError> {
    let format = sniff(&mut file)?;
    if !is_whole(&mut file, format, bytes).map_err(|_| corrupt(format))? {
        return Err(JobError::new(ErrorCode::ImageCorrupt, "The file ends before its picture does; it is truncated."));
    }
    file.rewind().map_err(|_| corrupt(format))?;
    let (width, height, alpha) = size(&mut file, format, bytes)?;
    if width == 0 || height == 0 {
        return Err(corrupt(format));
    }
    let frames = frames(&mut file, format, bytes);
    Ok(InputInfo { filename, format: Some(format), width, height, bytes, frames, alpha })
}

/// The size in pixels that the header says, and whether it speaks of an alpha channel.
fn size(mut file: impl BufRead + Seek, format: PictureFormat, bytes: u64) -> Result<(u32, u32, bool), JobError> {
    if format == PictureFormat::Tiff {
        if let Some(rare) = tiff::rare(&mut file) {
            return Ok((rare.width, rare.height, rare.kind == Kind::GrayAlpha));
        }
        file.rewind().map_err(|_| corrupt(format))?;
    }
    match format {
        PictureFormat::Jpeg => {
            let frame = jpeg::frame(&mut file).ok().flatten().ok_or_else(|| corrupt(format))?;
            match frame.rare_coding() {
                Some(coding) => Err(unsupported(format, &format!("its coding is {coding}"))),
                None => Ok((frame.width, frame.height, false)),
            }
        }
        PictureFormat::Heic => {
            let shown = heif::shown(&mut file, bytes).map_err(|_| corrupt(format))?;
            let shown = shown.map_err(|coding| unsupported(format, &format!("its coding is {coding:?}")))?;
            Ok((shown.width, shown.height, shown.alpha))
        }
        // The chunks behind the header may be made to grow to any size when they are unpacked.
        PictureFormat::Png => {
            let mut decoder = png::Decoder::new(file);
            let header = decoder.read_header_info().map_err(|_| corrupt(format))?;
            Ok((header.width, header.height, matches!(header.color_type, ColorType::GrayscaleAlpha | ColorType::Rgba)))
        }
        PictureFormat::Webp | PictureFormat::Tiff | PictureFormat::Gif | PictureFormat::Bmp => {
            let known = image_format(format).ok_or_else(|| corrupt(format))?;
            let reader = ImageReader::with_format(&mut file, known);
            let decoder = reader.into_decoder().map_err(|error| match error {
                ImageError::Unsupported(kind) => unsupported(format, &kind),
                _ => corrupt(format),
            })?;
            let (width, height) = decoder.dimensions();
            // Every GIF is decoded with alpha, and few have any.
            let alpha = format != PictureFormat::Gif && decoder.color_type().has_alpha();
            Ok((width, height, alpha))
        }
    }
}

/// The format by the name that the `image` crate has for it, where it knows it.
pub fn image_format(format: PictureFormat) -> Option<ImageFormat> {
    match format {
        PictureFormat::Jpeg => Some(ImageFormat::Jpeg),
        PictureFormat::Png => Some(ImageFormat::Png),
        PictureFormat::Webp => Some(ImageFormat::WebP),
        PictureFormat::Tiff => Some(ImageFormat::Tiff),
        PictureFormat::Gif => Some(ImageFormat::Gif),
        PictureFormat::Bmp => Some(ImageFormat::Bmp),
        PictureFormat::Heic => None,
    }
}

fn unsupported(format: PictureFormat, kind: &dyn std::fmt::Display) -> JobError {
    JobError::new(ErrorCode::UnsupportedFormat, format!("This kind of {format:?} is not read: {kind}."))
}

fn corrupt(format: PictureFormat) -> JobError {
    JobError::new(ErrorCode::ImageCorrupt, format!("The file begins like a {format:?} but its header cannot be read."))
}

/// The format that the first bytes of the file are the signature of.
fn sniff(file: &mut (impl BufRead + Seek)) -> Result<PictureFormat, JobError> {
    let unsupported = || {
        JobError::new(
            ErrorCode::UnsupportedFormat,
            "The bytes are not an image this service reads; it accepts JPEG, PNG, WebP, TIFF, GIF, BMP and HEIC.",
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
    let head = &head[..filled];
    match image::guess_format(head) {
        Ok(ImageFormat::Jpeg) => Ok(PictureFormat::Jpeg),
        Ok(ImageFormat::Png) => Ok(PictureFormat::Png),
        Ok(ImageFormat::WebP) => Ok(PictureFormat::Webp),
        Ok(ImageFormat::Tiff) => Ok(PictureFormat::Tiff),
        Ok(ImageFormat::Gif) => Ok(PictureFormat::Gif),
        Ok(ImageFormat::Bmp) => Ok(PictureFormat::Bmp),
        Ok(ImageFormat::Avif) => Err(JobError::new(
            ErrorCode::UnsupportedFormat,
            "AVIF is not read; JPEG, PNG, WebP, TIFF, GIF, BMP and HEIC are.",
        )),
        _ if heif::is_heif(head) => Ok(PictureFormat::Heic),
        _ if BIG_TIFF.iter().any(|signature| head.starts_with(signature)) => Ok(PictureFormat::Tiff),
        _ => Err(unsupported()),
    }
}
