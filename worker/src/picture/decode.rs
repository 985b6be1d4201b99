//! Bytes to pixels: bounded, upright, in the file's own depth.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits, metadata::Orientation};
use remaster_pictures::header::image_format;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{InputInfo, MetadataPolicy};

use super::{Layout, Metadata, Picture, Samples};

/// What a decoder may allocate per pixel: the widest samples (RGBA, 16 bits) twice over, for its own copy.
const BYTES_PER_PIXEL: u64 = 16;
/// And besides: metadata, tables.
const ALLOWANCE: u64 = 64 << 20;

/// Decodes `bytes`, whose header said `info`, and turns the picture upright.
///
/// # Errors
/// `image_corrupt` when the pixels cannot be decoded, or are not what the header said.
pub fn decode(bytes: &[u8], info: &InputInfo, policy: MetadataPolicy) -> Result<Picture, JobError> {
    let unknown = || JobError::new(ErrorCode::UnsupportedFormat, "The image's format was not recognised.");
    let format = info.format.map(image_format).ok_or_else(unknown)?;
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(u64::from(info.width) * u64::from(info.height) * BYTES_PER_PIXEL + ALLOWANCE);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| corrupt(&error))?;
    if decoder.dimensions() != (info.width, info.height) {
        return Err(JobError::new(ErrorCode::ImageCorrupt, "The image's size differs from what its header said."));
    }
    // Metadata that cannot be read is no reason to refuse the picture.
    let icc = decoder.icc_profile().ok().flatten();
    let exif = decoder.exif_metadata().ok().flatten();
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut image = DynamicImage::from_decoder(decoder).map_err(|error| corrupt(&error))?;
    image.apply_orientation(orientation);
    let exif = exif.filter(|_| policy == MetadataPolicy::Keep).map(|mut exif| {
        // Applied above; left in, viewers would turn the picture again.
        let _ = Orientation::remove_from_exif_chunk(&mut exif);
        exif
    });
    Ok(from_image(image, Metadata { icc, exif }))
}

fn corrupt(error: &ImageError) -> JobError {
    JobError::new(ErrorCode::ImageCorrupt, format!("The image cannot be decoded: {error}."))
}

fn from_image(image: DynamicImage, metadata: Metadata) -> Picture {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (layout, samples) = match image {
        DynamicImage::ImageLuma8(image) => (Layout::Gray, Samples::U8(image.into_raw())),
        DynamicImage::ImageLumaA8(image) => (Layout::GrayAlpha, Samples::U8(image.into_raw())),
        DynamicImage::ImageRgb8(image) => (Layout::Rgb, Samples::U8(image.into_raw())),
        DynamicImage::ImageRgba8(image) => (Layout::Rgba, Samples::U8(image.into_raw())),
        DynamicImage::ImageLuma16(image) => (Layout::Gray, Samples::U16(image.into_raw())),
        DynamicImage::ImageLumaA16(image) => (Layout::GrayAlpha, Samples::U16(image.into_raw())),
        DynamicImage::ImageRgb16(image) => (Layout::Rgb, Samples::U16(image.into_raw())),
        DynamicImage::ImageRgba16(image) => (Layout::Rgba, Samples::U16(image.into_raw())),
        // Floating point (TIFF): 16 bits keep more of it than 8.
        other if other.color().has_alpha() => (Layout::Rgba, Samples::U16(other.into_rgba16().into_raw())),
        other => (Layout::Rgb, Samples::U16(other.into_rgb16().into_raw())),
    };
    Picture { width, height, layout, samples, metadata }
}
