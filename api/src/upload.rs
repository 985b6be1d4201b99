//! Receiving an image: multipart or raw, streamed to a spool file under a byte cap, then looked at by its header.

use std::io::BufReader;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::Request;
use futures::StreamExt;
use remaster_pictures::header::inspect;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::InputInfo;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::form::{ENVELOPE, Form, Part, content_type, declared, in_time};
use crate::options::Options;
use crate::problem::{Answer, Problem};
use crate::state::Api;

/// The longest that an upload may take.
const LONGEST: Duration = Duration::from_secs(900);

/// An image on disk, and what its header says.
pub struct Upload {
    pub file: NamedTempFile,
    pub info: InputInfo,
    /// SHA-256 of its bytes.
    pub hash: [u8; 32],
}

/// Takes the image and the options out of `request`; those in the query are already in `options`.
pub async fn receive(api: &Api, request: Request, options: Options) -> Answer<(Upload, Options)> {
    let _turn = api.uploads.acquire().await;
    let late = || Problem::new(ErrorCode::RequestTimeout, "The upload took too long; nothing was charged.");
    tokio::time::timeout(LONGEST, receive_now(api, request, options)).await.map_err(|_| late())?
}

async fn receive_now(api: &Api, request: Request, mut options: Options) -> Answer<(Upload, Options)> {
    let limit = api.settings.max_upload_bytes;
    if declared(&request).is_some_and(|length| length > limit + ENVELOPE) {
        return Err(too_large(limit));
    }
    let spooled = match content_type(&request).as_str() {
        "multipart/form-data" => multipart(api, request, &mut options).await?,
        kind if kind.starts_with("image/") || kind == "application/octet-stream" => {
            Some((raw(api, request).await?, None))
        }
        _ => {
            let detail = "Send the image as multipart/form-data with a part named file, or as the raw body with an image/* content type.";
            return Err(Problem::new(ErrorCode::MissingFile, detail));
        }
    };
    let missing =
        || Problem::new(ErrorCode::MissingFile, "There is no image: the part named file is missing or empty.");
    let (spooled, filename) = spooled.ok_or_else(missing)?;
    if spooled.bytes == 0 {
        return Err(missing());
    }
    let info = spooled.look(filename).await??;
    Ok((Upload { file: spooled.file, info, hash: spooled.hash }, options))
}

async fn multipart(api: &Api, request: Request, options: &mut Options) -> Answer<Option<(Spooled, Option<String>)>> {
    let mut form = Form::of(request, api.settings.max_upload_bytes + ENVELOPE).await?;
    let mut found = None;
    while let Some(mut part) = form.next().await? {
        if !part.is_file() {
            part.add_to(options).await?;
        } else if found.is_some() {
            let detail = "There is more than one file; this takes one, POST /batches takes many.";
            return Err(Problem::new(ErrorCode::InvalidParameter, detail));
        } else {
            found = Some((spool_part(api, &mut part).await?, part.filename()));
        }
    }
    Ok(found)
}

async fn raw(api: &Api, request: Request) -> Answer<Spooled> {
    let broken = |_| Problem::new(ErrorCode::InvalidParameter, "The body ended before it was whole.");
    let mut chunks = request.into_body().into_data_stream();
    let mut spool = Spool::new(api).await?;
    while let Some(chunk) = in_time(chunks.next()).await? {
        if !spool.add(&chunk.map_err(broken)?).await? {
            return Err(too_large(api.settings.max_upload_bytes));
        }
    }
    spool.finish().await
}

async fn spool_part(api: &Api, part: &mut Part<'_>) -> Answer<Spooled> {
    let mut spool = Spool::new(api).await?;
    while let Some(chunk) = part.chunk().await? {
        if !spool.add(&chunk).await? {
            return Err(too_large(api.settings.max_upload_bytes));
        }
    }
    spool.finish().await
}

/// A file on its way into the spool folder.
pub struct Spool {
    file: NamedTempFile,
    writer: tokio::fs::File,
    hash: Sha256,
    limit: u64,
    pub bytes: u64,
}

impl Spool {
    pub async fn new(api: &Api) -> Answer<Self> {
        let file = NamedTempFile::new_in(&api.settings.spool)?;
        let writer = tokio::fs::File::from_std(file.reopen()?);
        Ok(Self { file, writer, hash: Sha256::new(), limit: api.settings.max_upload_bytes, bytes: 0 })
    }

    /// False once the file is too large; from then on it is only hashed.
    pub async fn add(&mut self, chunk: &Bytes) -> Answer<bool> {
        self.bytes += chunk.len() as u64;
        self.hash.update(chunk);
        let fits = self.bytes <= self.limit;
        if fits {
            self.writer.write_all(chunk).await?;
        }
        Ok(fits)
    }

    pub async fn finish(mut self) -> Answer<Spooled> {
        self.writer.flush().await?;
        Ok(Spooled { file: self.file, bytes: self.bytes, hash: self.hash.finalize().into() })
    }
}

/// A file in the spool folder, gone when this is dropped.
pub struct Spooled {
    pub file: NamedTempFile,
    pub bytes: u64,
    /// SHA-256.
    pub hash: [u8; 32],
}

impl Spooled {
    /// What its header says, or why it is refused.
    pub async fn look(&self, filename: Option<String>) -> Answer<Result<InputInfo, JobError>> {
        let (opened, bytes) = (self.file.reopen()?, self.bytes);
        let looked = tokio::task::spawn_blocking(move || inspect(BufReader::new(opened), bytes, filename));
        Ok(looked.await.map_err(|error| std::io::Error::other(error.to_string()))?)
    }
}

pub fn too_large(limit: u64) -> Problem {
    Problem::new(ErrorCode::FileTooLarge, format!("The file is larger than {limit} bytes (MAX_UPLOAD_BYTES)."))
}
