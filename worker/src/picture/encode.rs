//! Pixels to a PNG file, hashed as it is written.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::{Layout, Picture, Samples};

/// A PNG in a temporary file, which goes with this value.
#[derive(Debug)]
pub struct Encoded {
    pub file: NamedTempFile,
    pub bytes: u64,
    /// In hex.
    pub sha256: String,
}

/// Writes `picture` as PNG into a temporary file in `folder`.
///
/// # Errors
/// The disk is full or not writable.
pub fn encode(picture: &Picture, folder: &Path) -> io::Result<Encoded> {
    let file = NamedTempFile::new_in(folder)?;
    let mut sink = Sink { out: BufWriter::new(file), bytes: 0, hash: Sha256::new() };
    // Fast beats the slower settings on network output: they take 30 times as long for a file of about the same size.
    let mut encoder = PngEncoder::new_with_quality(&mut sink, CompressionType::Fast, FilterType::Adaptive);
    if let Some(icc) = picture.metadata.icc.clone() {
        encoder.set_icc_profile(icc).map_err(io::Error::other)?;
    }
    if let Some(exif) = picture.metadata.exif.clone() {
        encoder.set_exif_metadata(exif).map_err(io::Error::other)?;
    }
    let (bytes, color) = match &picture.samples {
        Samples::U8(samples) => (samples.as_slice(), color8(picture.layout)),
        Samples::U16(samples) => (bytemuck::cast_slice(samples), color16(picture.layout)),
    };
    encoder.write_image(bytes, picture.width as u32, picture.height as u32, color).map_err(io::Error::other)?;
    sink.flush()?;
    let file = sink.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let sha256 = sink.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Encoded { file, bytes: sink.bytes, sha256 })
}

fn color8(layout: Layout) -> ExtendedColorType {
    match layout {
        Layout::Gray => ExtendedColorType::L8,
        Layout::GrayAlpha => ExtendedColorType::La8,
        Layout::Rgb => ExtendedColorType::Rgb8,
        Layout::Rgba => ExtendedColorType::Rgba8,
    }
}

fn color16(layout: Layout) -> ExtendedColorType {
    match layout {
        Layout::Gray => ExtendedColorType::L16,
        Layout::GrayAlpha => ExtendedColorType::La16,
        Layout::Rgb => ExtendedColorType::Rgb16,
        Layout::Rgba => ExtendedColorType::Rgba16,
    }
}

/// Counts and hashes what passes through.
struct Sink {
    out: BufWriter<NamedTempFile>,
    bytes: u64,
    hash: Sha256,
}

impl Write for Sink {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = self.out.write(buffer)?;
        self.hash.update(&buffer[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
