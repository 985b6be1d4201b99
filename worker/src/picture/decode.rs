//! Bytes to pixels: bounded in memory, then upright, in the depth of the file.

use std::io::Cursor;

use ::tiff::TiffError;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageError, ImageReader, Limits, metadata::Orientation};
use libjpeg_turbo_rs::JpegError;
use remaster_pictures::header::image_format;
use remaster_pictures::tiff::Rare;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{InputInfo, MetadataPolicy, PictureFormat};

use super::associated::has_associated_alpha;
use super::layout::Layout;
use super::raster::{Metadata, Picture, Samples};
use super::{chunks, density, heif, iptc, jpeg, tiff, tiff_metadata};

/// What a decoder may allocate per pixel, in bytes: the widest pixel (RGBA of 16 bits) twice, since decoders may copy.
const BYTES_PER_PIXEL: u64 = 16;
/// What a decoder may allocate besides, in bytes, for metadata and tables.
const ALLOWANCE: u64 = 64 << 20;

/// What the decoder of LZW says of a strip whose end it cannot look past.
const UNENDED: &str = "no lzw end code";

/// A decoded picture as the file stores it, before its EXIF orientation is applied.
#[derive(Debug)]
pub struct Decoded {
    image: DynamicImage,
    orientation: Orientation,
    /// Whether its colours have been multiplied by its alpha.
    associated: bool,
    metadata: Metadata,
}

/// Decodes `bytes`, whose header said `info`.
///
/// # Errors
/// `unsupported_format` when `info` names no format; `image_corrupt` when the pixels cannot be decoded, or the file is
/// not of the size that its header said.
pub fn decode(bytes: &[u8], info: &InputInfo) -> Result<Decoded, JobError> {
    match decode_as_it_is(bytes, info) {
        Err(error) if info.format == Some(PictureFormat::Tiff) && error.message.contains(UNENDED) => {
            let longer = remaster_pictures::tiff::with_longer_chunks(bytes).map_err(damaged)?;
            decode_as_it_is(&longer, info)
        }
        decoded => decoded,
    }
}

fn decode_as_it_is(bytes: &[u8], info: &InputInfo) -> Result<Decoded, JobError> {
    let unknown = || JobError::new(ErrorCode::UnsupportedFormat, "The image's format was not recognised.");
    let format = info.format.ok_or_else(unknown)?;
    let limit = u64::from(info.width) * u64::from(info.height) * BYTES_PER_PIXEL + ALLOWANCE;
    match format {
        PictureFormat::Heic => return heic(bytes, info),
        PictureFormat::Jpeg => return jpeg(bytes, info, limit),
        _ => {}
    }
    if format == PictureFormat::Tiff && !remaster_pictures::tiff::jpegs_fit(bytes) {
        return Err(resized());
    }
    if format == PictureFormat::Tiff
        && let Some(rare) = remaster_pictures::tiff::rare(Cursor::new(bytes))
    {
        return if (rare.width, rare.height) == (info.width, info.height) {
            rare_tiff(bytes, rare, limit)
        } else {
            Err(resized())
        };
    }
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image_format(format).ok_or_else(unknown)?);
    let mut limits = Limits::default();
    limits.max_alloc = Some(limit);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| corrupt(&error))?;
    if decoder.dimensions() != (info.width, info.height) {
        return Err(resized());
    }
    // A picture whose metadata cannot be read is decoded without it.
    let mut icc = decoder.icc_profile().ok().flatten();
    if matches!(decoder.original_color_type(), ExtendedColorType::Cmyk8 | ExtendedColorType::Cmyk16) {
        // It tells of inks, and the decoder gives light.
        icc = None;
    }
    let metadata = match format {
        PictureFormat::Tiff => Metadata { icc, ..tiff_metadata::of(bytes) },
        _ => Metadata {
            icc,
            exif: decoder.exif_metadata().ok().flatten().map(without_prefix),
            xmp: decoder.xmp_metadata().ok().flatten().and_then(|xmp| String::from_utf8(xmp).ok()),
            iptc: decoder.iptc_metadata().ok().flatten().and_then(|text| iptc::of_text(&text)),
            chunks: if format == PictureFormat::Png { chunks::kept(bytes) } else { Vec::new() },
        },
    };
    let said = metadata.exif.as_deref().and_then(Orientation::from_exif_chunk).or_else(|| decoder.orientation().ok());
    let orientation = said.unwrap_or(Orientation::NoTransforms);
    let image = DynamicImage::from_decoder(decoder).map_err(|error| corrupt(&error))?;
    let image = if format == PictureFormat::Gif { without_needless_alpha(image) } else { image };
    let associated = format == PictureFormat::Tiff && has_associated_alpha(bytes);
    Ok(Decoded { image, orientation, associated, metadata })
}

fn jpeg(bytes: &[u8], info: &InputInfo, limit: u64) -> Result<Decoded, JobError> {
    let pixels = u64::from(info.width) * u64::from(info.height);
    let (image, metadata) = jpeg::decode(bytes, pixels, limit).map_err(|error| match error {
        JpegError::Unsupported(what) => not_read(&what),
        JpegError::UnexpectedEof => damaged("its data end before the picture does"),
        error => damaged(error),
    })?;
    let said = metadata.exif.as_deref().and_then(Orientation::from_exif_chunk);
    of_its_size(image, said.unwrap_or(Orientation::NoTransforms), metadata, info)
}

/// A HEIC, whose orientation its decoder applies; the one that its EXIF block may repeat has no meaning.
fn heic(bytes: &[u8], info: &InputInfo) -> Result<Decoded, JobError> {
    let pixels = u64::from(info.width) * u64::from(info.height);
    let (image, metadata) = heif::decode(bytes, pixels).map_err(|error| match error {
        heifer::Error::Unsupported(what) => not_read(&what),
        error => damaged(error),
    })?;
    of_its_size(image, Orientation::NoTransforms, metadata, info)
}

/// A picture that has the size that its header said.
fn of_its_size(
    image: DynamicImage,
    orientation: Orientation,
    metadata: Metadata,
    info: &InputInfo,
) -> Result<Decoded, JobError> {
    if (image.width(), image.height()) != (info.width, info.height) {
        return Err(resized());
    }
    Ok(Decoded { image, orientation, associated: false, metadata })
}

/// A TIFF of a kind that the other decoder does not read.
fn rare_tiff(bytes: &[u8], rare: Rare, limit: u64) -> Result<Decoded, JobError> {
    let (image, orientation, metadata) = tiff::decode(bytes, rare, limit).map_err(|error| match error {
        TiffError::UnsupportedError(what) => not_read(&what),
        error => damaged(error),
    })?;
    Ok(Decoded { image, orientation, associated: has_associated_alpha(bytes), metadata })
}

/// The decoder of GIF gives every picture an alpha channel, whether or not anything is transparent.
fn without_needless_alpha(image: DynamicImage) -> DynamicImage {
    let opaque = image.as_rgba8().is_some_and(|pixels| pixels.pixels().all(|pixel| pixel.0[3] == u8::MAX));
    if opaque { image.into_rgb8().into() } else { image }
}

/// An EXIF block from its first byte. WebP files may have the prefix that it has in JPEG.
fn without_prefix(exif: Vec<u8>) -> Vec<u8> {
    exif.strip_prefix(b"Exif\0\0").map(<[u8]>::to_vec).unwrap_or(exif)
}

impl Decoded {
    /// The picture with its EXIF orientation applied, and with its hidden pixels filled. `policy` decides whether the rest of its EXIF block,
    /// its XMP packet and its IPTC fields are kept. What says how colours are to be shown always is.
    pub fn upright(self, policy: MetadataPolicy) -> Picture {
        let Self { mut image, orientation, associated, metadata } = self;
        let Metadata { icc, exif, xmp, iptc, mut chunks } = metadata;
        image.apply_orientation(orientation);
        if is_on_its_side(orientation) {
            chunks.iter_mut().for_each(density::turn);
        }
        let exif = exif.filter(|_| policy == MetadataPolicy::Keep).map(|mut exif| {
            // Viewers would turn the picture a second time.
            let _ = Orientation::remove_from_exif_chunk(&mut exif);
            exif
        });
        let xmp = xmp.filter(|_| policy == MetadataPolicy::Keep).map(|xmp| upright_in_words(&xmp));
        let iptc = iptc.filter(|_| policy == MetadataPolicy::Keep);
        let mut picture = from_image(image, Metadata { icc, exif, xmp, iptc, chunks });
        if associated {
            picture.divide_by_alpha();
        }
        picture.fill_hidden();
        picture
    }
}

/// Whether what was across in the file is down in the picture.
fn is_on_its_side(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// An XMP packet that says of its picture that it is upright, for the same reason. It may say that as an attribute or as an element.
fn upright_in_words(xmp: &str) -> String {
    (2..=8).fold(xmp.to_owned(), |xmp, turned| {
        let forms = [("=\"", "\""), ("='", "'"), (">", "<")];
        forms.iter().fold(xmp, |xmp, (before, after)| {
            let says = |orientation| format!("tiff:Orientation{before}{orientation}{after}");
            xmp.replace(&says(turned), &says(1))
        })
    })
}

fn resized() -> JobError {
    JobError::new(ErrorCode::ImageCorrupt, "The image's size differs from what its header said.")
}

fn corrupt(error: &ImageError) -> JobError {
    match error {
        ImageError::Unsupported(what) => not_read(what),
        _ => damaged(error),
    }
}

fn not_read(what: &dyn std::fmt::Display) -> JobError {
    JobError::new(ErrorCode::UnsupportedFormat, format!("The image is of a kind that is not read: {what}."))
}

fn damaged(why: impl std::fmt::Display) -> JobError {
    JobError::new(ErrorCode::ImageCorrupt, format!("The image cannot be decoded: {why}."))
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
        // A TIFF may hold floating-point samples, of which 16 bits keep more than 8.
        other if other.color().has_alpha() => (Layout::Rgba, Samples::U16(other.into_rgba16().into_raw())),
        other => (Layout::Rgb, Samples::U16(other.into_rgb16().into_raw())),
    };
    Picture { width, height, layout, samples, metadata }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_says_that_its_picture_is_upright() {
        let said = "<a tiff:Orientation=\"6\"/><tiff:Orientation>8</tiff:Orientation><b tiff:Orientation='1' x='6'/>";
        let upright =
            "<a tiff:Orientation=\"1\"/><tiff:Orientation>1</tiff:Orientation><b tiff:Orientation='1' x='6'/>";
        assert_eq!(upright_in_words(said), upright);
    }
}
