//! Receiving one image, as a multipart form or as the raw body: streamed to a spool file, then inspected by its header.

use std::time::Duration;

use axum::BoxError;
use axum::extract::Request;
use futures::StreamExt;
use remaster_shared::error::ErrorCode;
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::InputInfo;
use tempfile::NamedTempFile;

use super::body::{declared_length, media_type, within, without_pause};
use super::client::Client;
use super::form::{ENVELOPE, Form, Part};
use super::idempotency::Fingerprinted;
use super::options::SubmitOptions;
use super::pace::{PacedBody, too_slow};
use super::spool::{Spool, Spooled, too_large};
use crate::problem::{ApiResult, Problem};
use crate::state::Api;

/// The longest that an upload may take.
const MAX_DURATION: Duration = Duration::from_secs(900);

/// An image in the spool folder.
pub struct Upload {
    /// The file, which is deleted when this is dropped.
    pub file: NamedTempFile,
    /// What the header of the image says.
    pub info: InputInfo,
    /// The SHA-256 of its bytes.
    pub hash: [u8; 32],
}

impl Fingerprinted for Upload {
    fn add_to(&self, fingerprint: FingerprintBuilder) -> FingerprintBuilder {
        fingerprint.part("file", &self.hash)
    }
}

/// Receives the image in the body of `request`. Options that are fields of the form are added to `options`.
///
/// # Errors
/// 400 for a body without an image or a form that cannot be read, 408 for a slow upload, 413, 415 and 422 for an image that
/// the service does not take, 500 when the upload cannot be kept, and 503 when there are too many uploads.
pub async fn receive_upload(
    api: &Api,
    client: Client,
    request: Request,
    options: &mut SubmitOptions,
) -> ApiResult<Upload> {
    let _turn = api.uploads.take(client.0).await?;
    within(MAX_DURATION, receive(api, request, options)).await
}

async fn receive(api: &Api, request: Request, options: &mut SubmitOptions) -> ApiResult<Upload> {
    let limit = api.settings.max_upload_bytes;
    if declared_length(&request).is_some_and(|length| length > limit + ENVELOPE) {
        return Err(too_large(limit));
    }
    let received = match media_type(&request).as_str() {
        "multipart/form-data" => receive_form(api, request, options).await?,
        kind if kind.starts_with("image/") || kind == "application/octet-stream" => {
            Some((receive_raw(api, request).await?, None))
        }
        _ => {
            let detail = "Send the image as multipart/form-data with a part named file, or as the raw body with an image/* content type.";
            return Err(Problem::new(ErrorCode::MissingFile, detail));
        }
    };
    let missing =
        || Problem::new(ErrorCode::MissingFile, "There is no image: the part named file is missing or empty.");
    let (spooled, filename) = received.ok_or_else(missing)?;
    if spooled.bytes == 0 {
        return Err(missing());
    }
    let info = spooled.inspect(filename).await??;
    Ok(Upload { file: spooled.file, info, hash: spooled.hash })
}

/// The file of a form with its name. `None` when the form has no file.
async fn receive_form(
    api: &Api,
    request: Request,
    options: &mut SubmitOptions,
) -> ApiResult<Option<(Spooled, Option<String>)>> {
    let mut form = Form::read(request, api.settings.max_upload_bytes + ENVELOPE).await?;
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

async fn receive_raw(api: &Api, request: Request) -> ApiResult<Spooled> {
    let incomplete = |error: BoxError| {
        let ended = || Problem::new(ErrorCode::InvalidParameter, "The body ended before it was whole.");
        too_slow(&*error).unwrap_or_else(ended)
    };
    let mut chunks = PacedBody::new(request.into_body());
    let mut spool = Spool::new(api).await?;
    while let Some(chunk) = without_pause(chunks.next()).await? {
        if !spool.add(&chunk.map_err(incomplete)?).await? {
            return Err(too_large(api.settings.max_upload_bytes));
        }
    }
    spool.finish().await
}

async fn spool_part(api: &Api, part: &mut Part<'_>) -> ApiResult<Spooled> {
    let mut spool = Spool::new(api).await?;
    while let Some(chunk) = part.chunk().await? {
        if !spool.add(&chunk).await? {
            return Err(too_large(api.settings.max_upload_bytes));
        }
    }
    spool.finish().await
}
