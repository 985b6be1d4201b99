//! WebP: 8 bits, with transparency, with a loss or without.

use std::io::Write;

use bytes::Bytes;
use img_parts::riff::{RiffChunk, RiffContent};
use img_parts::webp::{CHUNK_XMP, WebP};
use img_parts::{ImageEXIF, ImageICC};
use remaster_shared::job::Quality;
use webp::{Encoder, PixelLayout, WebPConfig};

use super::EncodeError;
use crate::picture::{Layout, Metadata, Picture};

/// Writes `picture`, whose sides are at most 16,383 pixels long.
pub(super) fn write(picture: &Picture, quality: Quality, mut out: impl Write) -> Result<(), EncodeError> {
    let failed = |error: &dyn std::fmt::Debug| EncodeError::Encoder(format!("WebP: {error:?}"));
    let mut config = WebPConfig::new().map_err(|()| failed(&"no such version of the encoder"))?;
    config.lossless = quality.is_lossless().into();
    // Without a loss this is the effort, and the usual one.
    config.quality = if quality.is_lossless() { 75.0 } else { quality.percent().into() };
    config.thread_level = 1;
    let (pixels, layout) = pixels(picture);
    let encoder = Encoder::new(&pixels, layout, picture.width as u32, picture.height as u32);
    let made = encoder.encode_advanced(&config).map_err(|error| failed(&error))?;
    drop(pixels);
    let Metadata { icc, xmp, .. } = &picture.metadata;
    let exif = picture.metadata.exif_of(picture.width, picture.height);
    if icc.is_none() && exif.is_none() && xmp.is_none() {
        return Ok(out.write_all(&made)?);
    }
    let mut file = WebP::from_bytes(Bytes::copy_from_slice(&made)).map_err(|error| failed(&error))?;
    drop(made);
    file.set_icc_profile(icc.clone().map(Bytes::from));
    if let Some(xmp) = xmp {
        file.chunks_mut().push(RiffChunk::new(CHUNK_XMP, RiffContent::Data(xmp.clone().into())));
    }
    file.set_exif(exif.map(Bytes::from));
    file.encoder().write_to(&mut out)?;
    Ok(())
}

/// The pixels as the encoder takes them, which knows no gray.
fn pixels(picture: &Picture) -> (Vec<u8>, PixelLayout) {
    let channels = if picture.layout.has_alpha() { 4 } else { 3 };
    let mut pixels = Vec::with_capacity(picture.width * picture.height * channels);
    for y in 0..picture.height {
        let row = picture.row_of_bytes(y);
        match picture.layout {
            Layout::Gray => row.iter().for_each(|gray| pixels.extend([gray; 3])),
            Layout::GrayAlpha => {
                row.chunks_exact(2).for_each(|pixel| pixels.extend([pixel[0], pixel[0], pixel[0], pixel[1]]));
            }
            Layout::Rgb | Layout::Rgba => pixels.extend_from_slice(&row),
        }
    }
    (pixels, if picture.layout.has_alpha() { PixelLayout::Rgba } else { PixelLayout::Rgb })
}
