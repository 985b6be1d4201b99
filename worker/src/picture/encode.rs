//! Pixels to a PNG file, which is hashed while it is written.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::png::{CompressionType, FilterType, PngEncoder},
};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::layout::Layout;
use super::raster::{Picture, Samples};

/// A PNG in a temporary file, which is deleted when this value is dropped.
#[derive(Debug)]
pub struct Encoded {
    /// The file, written to its end.
    pub file: NamedTempFile,
    /// The length of the file.
    pub bytes: u64,
    /// The SHA-256 of the file's bytes, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// Writes `picture` with its metadata as PNG into a temporary file in `folder`.
///
/// # Errors
/// The file cannot be made or written, as on a full disk.
pub fn encode(picture: &Picture, folder: &Path) -> io::Result<Encoded> {
    let file = NamedTempFile::new_in(folder)?;
    let mut writer = HashingWriter { out: BufWriter::new(file), bytes: 0, hash: Sha256::new() };
    // On a network's output the slower settings take 30 times as long for a file of about the same size.
    let mut encoder = PngEncoder::new_with_quality(&mut writer, CompressionType::Fast, FilterType::Adaptive);
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
    writer.flush()?;
    let file = writer.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let sha256 = writer.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Encoded { file, bytes: writer.bytes, sha256 })
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

/// Counts and hashes the bytes that pass through it.
struct HashingWriter {
    out: BufWriter<NamedTempFile>,
    bytes: u64,
    hash: Sha256,
}

impl Write for HashingWriter {
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
