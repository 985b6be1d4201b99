//! Pixels to a file, which is hashed while it is written.

mod eight;
mod jpeg;
mod png;
mod webp;

use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jpeg_encoder::EncodingError;
use remaster_shared::job::{OutputFormat, Quality};
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::raster::Picture;
use super::strip::{Header, Strip};

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

/// Writes a picture with its metadata into a temporary file.
pub struct Encoder {
    out: Shared,
    body: Body,
}

/// The part of a file that the pixels go to.
enum Body {
    /// Rows are written as they come.
    Png(Box<png::Rows<Shared>>),
    /// The encoder takes all rows at once.
    Webp(Picture, Quality),
    Jpeg(Picture, Quality),
}

impl Encoder {
    /// Begins a file in `folder` for the picture that `header` tells of.
    ///
    /// # Errors
    /// The file cannot be made or written.
    pub fn new(header: Header, format: OutputFormat, quality: Quality, folder: &Path) -> Result<Self, EncodeError> {
        let file = NamedTempFile::new_in(folder)?;
        let out = Shared::new(file);
        let body = match format {
            OutputFormat::Png => Body::Png(Box::new(png::Rows::new(&header, out.clone())?)),
            OutputFormat::Webp => Body::Webp(header.whole(), quality),
            OutputFormat::Jpeg => Body::Jpeg(header.whole(), quality),
        };
        Ok(Self { out, body })
    }

    /// Takes the next rows.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn push(&mut self, strip: &Strip) -> Result<(), EncodeError> {
        match &mut self.body {
            Body::Png(rows) => rows.push(strip)?,
            Body::Webp(picture, _) | Body::Jpeg(picture, _) => picture.put(strip),
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// It cannot be written, or the format does not take the picture.
    pub fn finish(self) -> Result<Encoded, EncodeError> {
        let Self { mut out, body } = self;
        match body {
            Body::Png(rows) => rows.finish()?,
            Body::Webp(picture, quality) => webp::write(&picture, quality, &mut out)?,
            Body::Jpeg(picture, quality) => jpeg::write(&picture, quality, &mut out)?,
        }
        out.finish()
    }
}

/// Counts and hashes the bytes that pass through it.
struct HashingWriter {
    out: BufWriter<NamedTempFile>,
    bytes: u64,
    hash: Sha256,
    /// What went wrong, for a caller who was not asked.
    failed: Option<io::ErrorKind>,
}

/// A writer that an encoder keeps to itself, and that is read when it is done.
#[derive(Clone)]
struct Shared(Arc<Mutex<HashingWriter>>);

impl Shared {
    fn new(file: NamedTempFile) -> Self {
        let (out, hash) = (BufWriter::new(file), Sha256::new());
        Self(Arc::new(Mutex::new(HashingWriter { out, bytes: 0, hash, failed: None })))
    }

    fn lock(&self) -> MutexGuard<'_, HashingWriter> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file, with all that was written. Encoders have to be dropped before.
    fn finish(self) -> Result<Encoded, EncodeError> {
        let writer = Arc::into_inner(self.0).ok_or_else(|| EncodeError::Encoder("it is not done".to_owned()))?;
        let HashingWriter { out, bytes, hash, failed } = writer.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(kind) = failed {
            return Err(io::Error::from(kind).into());
        }
        let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Encoded { file, bytes, sha256 })
    }
}

impl Write for Shared {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let mut writer = self.lock();
        let written = writer.out.write(buffer).inspect_err(|error| writer.failed = Some(error.kind()));
        let written = written?;
        writer.hash.update(&buffer[..written]);
        writer.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.lock().out.flush()
    }
}
