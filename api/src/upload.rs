//! Receiving an image: multipart or raw, streamed to a spool file under a byte cap, then looked at by its header.

use std::io::BufReader;
use std::time::Duration;

use axum::body::Body;
use axum::extract::multipart::{Field, MultipartError};
use axum::extract::{FromRequest, Multipart, Request};
use axum::http::{StatusCode, header};
use futures::{Stream, StreamExt};
use http_body_util::Limited;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::InputInfo;
use remaster_shared::picture::inspect;
use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;
use tokio::io::AsyncWriteExt;

use crate::options::Options;
use crate::problem::{Answer, Problem};
use crate::state::Api;

/// Longest value of an option.
const OPTION_BYTES: usize = 4096;
/// What a multipart body may hold besides the file.
pub const ENVELOPE: u64 = 64 * 1024;
/// A pause in an upload after which it is given up.
const PAUSE: Duration = Duration::from_secs(30);
/// And the longest that one may take.
const LONGEST: Duration = Duration::from_secs(900);
/// Longest filename kept, in characters.
const FILENAME: usize = 255;

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
    let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    let kind = content_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let spooled = match kind.as_str() {
        "multipart/form-data" => multipart(api, request, &mut options).await?,
        kind if kind.starts_with("image/") || kind == "application/octet-stream" => {
            let file = spool(api, chunks(request.into_body())).await?;
            Some((file, None))
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

/// The length that the request's header says it has.
pub fn declared(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok())
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

/// The parts of a form that has `limit` bytes at most.
pub async fn form(request: Request, limit: u64) -> Answer<Multipart> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let request = request.map(|body| Body::new(Limited::new(body, limit)));
    let read = Multipart::from_request(request, &()).await;
    read.map_err(|error| Problem::new(ErrorCode::InvalidParameter, format!("{}.", error.body_text())))
}

/// Why a form cannot be read on.
pub fn malformed(error: MultipartError) -> Problem {
    let too_large = error.status() == StatusCode::PAYLOAD_TOO_LARGE;
    let code = if too_large { ErrorCode::FileTooLarge } else { ErrorCode::InvalidParameter };
    Problem::new(code, format!("The multipart body cannot be read: {}.", error.body_text()))
}

/// Spools the file in `part`; its name too, if it has one.
pub async fn spool_part(api: &Api, part: Field<'_>) -> (Option<String>, Answer<Spooled>) {
    let filename = part.file_name().map(clean_filename).filter(|name| !name.is_empty());
    let bytes = part.map(|chunk| chunk.map_err(malformed));
    (filename, spool(api, Box::pin(bytes)).await)
}

/// Adds the option in `part`.
pub async fn add_option(options: &mut Options, part: Field<'_>) -> Answer<()> {
    let Some(name) = part.name().map(str::to_owned) else {
        return Err(Problem::new(ErrorCode::InvalidParameter, "A part of the form has no name."));
    };
    let value = short_text(&name, part).await?;
    options.add(&name, &value)
}

async fn multipart(api: &Api, request: Request, options: &mut Options) -> Answer<Option<(Spooled, Option<String>)>> {
    let mut parts = form(request, api.settings.max_upload_bytes + ENVELOPE).await?;
    let mut found = None;
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        match part.name() {
            Some("file") if found.is_some() => {
                return Err(Problem::new(
                    ErrorCode::InvalidParameter,
                    "There is more than one file; this takes one, POST /batches takes many.",
                ));
            }
            Some("file") => {
                let (filename, spooled) = spool_part(api, part).await;
                found = Some((spooled?, filename));
            }
            _ => add_option(options, part).await?,
        }
    }
    Ok(found)
}

/// The last path component, without control characters: for display and for naming results, never a path.
fn clean_filename(name: &str) -> String {
    let base = name.rsplit(['/', '\\']).next().unwrap_or("");
    base.chars().filter(|c| !c.is_control()).take(FILENAME).collect()
}

async fn short_text(name: &str, mut part: Field<'_>) -> Answer<String> {
    let bad = || Problem::parameter(name, "…", "a short text in UTF-8");
    let mut value = Vec::new();
    while let Some(chunk) = part.chunk().await.map_err(|_| bad())? {
        value.extend_from_slice(&chunk);
        if value.len() > OPTION_BYTES {
            return Err(bad());
        }
    }
    String::from_utf8(value).map_err(|_| bad())
}

fn chunks(body: Body) -> impl Stream<Item = Answer<axum::body::Bytes>> + Unpin {
    let broken = |_| Problem::new(ErrorCode::InvalidParameter, "The body ended before it was whole.");
    body.into_data_stream().map(move |chunk| chunk.map_err(broken))
}

/// Writes the chunks to a new file in the spool folder; gives up past the byte cap.
async fn spool(api: &Api, mut chunks: impl Stream<Item = Answer<axum::body::Bytes>> + Unpin) -> Answer<Spooled> {
    let limit = api.settings.max_upload_bytes;
    let file = NamedTempFile::new_in(&api.settings.spool)?;
    let mut writer = tokio::fs::File::from_std(file.reopen()?);
    let (mut bytes, mut hash) = (0_u64, Sha256::new());
    let paused = |_| Problem::new(ErrorCode::RequestTimeout, "The upload paused for too long; nothing was charged.");
    while let Some(chunk) = tokio::time::timeout(PAUSE, chunks.next()).await.map_err(paused)? {
        let chunk = chunk?;
        bytes += chunk.len() as u64;
        if bytes > limit {
            return Err(too_large(limit));
        }
        hash.update(&chunk);
        writer.write_all(&chunk).await?;
    }
    writer.flush().await?;
    Ok(Spooled { file, bytes, hash: hash.finalize().into() })
}

fn too_large(limit: u64) -> Problem {
    Problem::new(ErrorCode::FileTooLarge, format!("The file is larger than {limit} bytes (MAX_UPLOAD_BYTES)."))
}

#[cfg(test)]
mod tests {
    use super::clean_filename;

    #[test]
    fn a_filename_is_only_a_name() {
        assert_eq!(clean_filename("../../etc/passwd"), "passwd");
        assert_eq!(clean_filename("C:\\photos\\a\r\n.jpg"), "a.jpg");
        assert_eq!(clean_filename("Großmutter 1932.jpg"), "Großmutter 1932.jpg");
        assert_eq!(clean_filename(&"x".repeat(999)).len(), 255);
    }
}
