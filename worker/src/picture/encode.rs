//! Pixels to a file, which is hashed while it is written.

mod eight;
mod jpeg;
mod png;
mod webp;

use std::io::{self, BufWriter, Write};
use std::path::Path;

use jpeg_encoder::EncodingError;
use remaster_shared::job::{OutputFormat, Quality};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::raster::Picture;

/// Why a picture could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// The file cannot be made or written, as on a full disk.
    #[error("writing the result: {0}")]
    Write(#[from] io::Error),
    /// The encoder of the format does not take the picture.
    #[error("encoding the result: {0}")]
    Encoder(String),
}

impl From<EncodingError> for EncodeError {
    fn from(error: EncodingError) -> Self {
        match error {
            EncodingError::IoError(error) => Self::Write(error),
            error => Self::Encoder(format!("JPEG: {error}")),
        }
    }
}

/// A picture in a temporary file, which is deleted when this value is dropped.
#[derive(Debug)]
pub struct Encoded {
    /// The file, written to its end.
    pub file: NamedTempFile,
    /// The length of the file.
    pub bytes: u64,
    /// The SHA-256 of the file's bytes, in lower-case hexadecimal digits.
    pub sha256: String,
}

/// Writes `picture` with its metadata into a temporary file in `folder`.
///
/// # Errors
/// The file cannot be made or written, or the format does not take the picture.
pub fn encode(
    picture: &Picture,
    format: OutputFormat,
    quality: Quality,
    folder: &Path,
) -> Result<Encoded, EncodeError> {
    let file = NamedTempFile::new_in(folder)?;
    let mut writer = HashingWriter { out: BufWriter::new(file), bytes: 0, hash: Sha256::new() };
    match format {
        OutputFormat::Png => png::write(picture, &mut writer)?,
        OutputFormat::Webp => webp::write(picture, quality, &mut writer)?,
        OutputFormat::Jpeg => jpeg::write(picture, quality, &mut writer)?,
    }
    writer.flush()?;
    let file = writer.out.into_inner().map_err(io::IntoInnerError::into_error)?;
    let sha256 = writer.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Encoded { file, bytes: writer.bytes, sha256 })
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
