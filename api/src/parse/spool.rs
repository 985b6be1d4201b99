//! A file of an upload in the spool folder: written under a size limit, hashed, and inspected by its header.

use std::io::BufReader;

use axum::body::Bytes;
use remaster_pictures::header::inspect;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::InputInfo;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::{AsyncWriteExt, BufWriter};

use crate::problem::ApiResult;
use crate::state::Api;

/// What is written at once, in bytes. Each write is a turn of another thread.
const BUFFER: usize = 64 << 10;

/// A file on its way into the spool folder.
pub struct Spool {
    file: NamedTempFile,
    writer: BufWriter<tokio::fs::File>,
    hash: Sha256,
    limit: u64,
    bytes: u64,
}

impl Spool {
    /// An empty file.
    ///
    /// # Errors
    /// 503 `storage_unavailable` when the spool folder cannot be written to.
    pub async fn new(api: &Api) -> ApiResult<Self> {
        let file = NamedTempFile::new_in(&api.settings.spool)?;
        let writer = BufWriter::with_capacity(BUFFER, tokio::fs::File::from_std(file.reopen()?));
        Ok(Self { file, writer, hash: Sha256::new(), limit: api.settings.max_upload_bytes, bytes: 0 })
    }

    /// Appends `chunk`. Returns false once the file is larger than the limit; from then on it is hashed but not written.
    ///
    /// # Errors
    /// 503 `storage_unavailable` when the spool folder cannot be written to.
    pub async fn add(&mut self, chunk: &Bytes) -> ApiResult<bool> {
        self.bytes += chunk.len() as u64;
        self.hash.update(chunk);
        let fits = self.bytes <= self.limit;
        if fits {
            self.writer.write_all(chunk).await?;
        }
        Ok(fits)
    }

    /// The file with everything that was appended.
    ///
    /// # Errors
    /// 503 `storage_unavailable` when the spool folder cannot be written to.
    pub async fn finish(mut self) -> ApiResult<Spooled> {
        self.writer.flush().await?;
        Ok(Spooled { file: self.file, bytes: self.bytes, hash: self.hash.finalize().into() })
    }
}

/// A file in the spool folder. It is deleted when this is dropped.
pub struct Spooled {
    /// The file itself.
    pub file: NamedTempFile,
    /// How many bytes were received.
    pub bytes: u64,
    /// The SHA-256 of all bytes that were received.
    pub hash: [u8; 32],
}

impl Spooled {
    /// Reads the header of the picture. The inner result says whether the service takes such a picture.
    ///
    /// # Errors
    /// 503 `storage_unavailable` when the file cannot be read back.
    pub async fn inspect(&self, filename: Option<String>) -> ApiResult<Result<InputInfo, JobError>> {
        let (opened, bytes) = (self.file.reopen()?, self.bytes);
        let inspected = tokio::task::spawn_blocking(move || inspect(BufReader::new(opened), bytes, filename));
        Ok(inspected.await.map_err(std::io::Error::other)?)
    }
}

/// The file is larger than `limit` bytes.
pub fn too_large(limit: u64) -> JobError {
    JobError::new(ErrorCode::FileTooLarge, format!("The file is larger than {limit} bytes (MAX_UPLOAD_BYTES)."))
}
