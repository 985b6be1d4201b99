//! Receiving one image, as a multipart form, as the raw body or by its address: streamed to a spool file, then inspected by its header.

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
use super::image_url;
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
    /// What the caller sent of it.
    pub sent: Sent,
}

/// What a caller sent of an image.
pub enum Sent {
    /// The file itself, whose bytes have this SHA-256.
    File([u8; 32]),
    /// Its address. What lies there may change from one request to the next.
    Url(String),
}

impl Sent {
    /// Adds it to the fingerprint of the request.
    pub fn add_to(&self, fingerprint: FingerprintBuilder) -> FingerprintBuilder {
        match self {
            Sent::File(hash) => fingerprint.part("file", hash),
            Sent::Url(url) => fingerprint.part("url", url.as_bytes()),
        }
    }
}

impl Fingerprinted for Upload {
    fn add_to(&self, fingerprint: FingerprintBuilder) -> FingerprintBuilder {
        self.sent.add_to(fingerprint)
    }
}

/// Receives the image in the body of `request`, or fetches the one whose address it names. Options that are fields of the form are
/// added to `options`.
///
/// # Errors
/// 400 for a body without an image, one that cannot be read, or an address that nothing is fetched from, 408 for a slow upload, 413,
/// 415 and 422 for an image that the service does not take or that cannot be fetched, 500 when the upload cannot be kept, and 503
/// when there are too many uploads.
pub async fn receive_upload(
    api: &Api,
    client: Client,
    request: Request,
    options: &mut SubmitOptions,
) -> ApiResult<Upload> {
    let _turn = api.uploads.take(client.key).await?;
    within(MAX_DURATION, receive(api, request, options)).await
}

async fn receive(api: &Api, request: Request, options: &mut SubmitOptions) -> ApiResult<Upload> {
    let limit = api.settings.max_upload_bytes;
    if declared_length(&request).is_some_and(|length| length > limit + ENVELOPE) {
        return Err(too_large(limit).into());
    }
    let received = match media_type(&request).as_str() {
        "multipart/form-data" => receive_form(api, request, options).await?,
        kind if kind.starts_with("image/") || kind == "application/octet-stream" => {
            Some((receive_raw(api, request).await?, None))
        }
        image_url::JSON => return fetch(api, request, options).await,
        _ => {
            let detail = "Send the image as multipart/form-data with a part named file, as the raw body with an image/* content type, \
                or its address as JSON with the member image_url.";
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
    Ok(Upload { file: spooled.file, info, sent: Sent::File(spooled.hash) })
}

/// The image at the address in the body.
async fn fetch(api: &Api, request: Request, options: &mut SubmitOptions) -> ApiResult<Upload> {
    let url = image_url::read_one(request, options).await?;
    let spooled = image_url::fetch(api, &url).await??;
    let info = spooled.inspect(image_url::filename(&url)).await??;
    Ok(Upload { file: spooled.file, info, sent: Sent::Url(url) })
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
            return Err(too_large(api.settings.max_upload_bytes).into());
        }
    }
    spool.finish().await
}

async fn spool_part(api: &Api, part: &mut Part<'_>) -> ApiResult<Spooled> {
    let mut spool = Spool::new(api).await?;
    while let Some(chunk) = part.chunk().await? {
        if !spool.add(&chunk).await? {
            return Err(too_large(api.settings.max_upload_bytes).into());
        }
    }
    spool.finish().await
}
