//! Images by their addresses: a JSON body names them beside the options, and they are fetched here.

use std::time::Duration;

use axum::body::to_bytes;
use axum::extract::Request;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_webhooks::egress::FetchError;
use serde_json::{Map, Value};

use super::body::within;
use super::options::SubmitOptions;
use super::spool::{Spool, Spooled, too_large};
use crate::problem::{ApiResult, Problem, QUOTED};
use crate::state::Api;

/// The media type of such a body.
pub const JSON: &str = "application/json";
/// The name of the address of one image.
const ONE: &str = "image_url";
/// The name of the addresses of a batch.
const MANY: &str = "image_urls";
/// The largest body, in bytes: 100 addresses, each as long as an address may be.
const MAX_BODY: usize = 256 << 10;
/// How long the body may take.
const MAX_DURATION: Duration = Duration::from_secs(30);

/// The address in the body of `request`. The other members are added to `options`.
///
/// # Errors
/// 400 for a body that is no JSON object, has no address, or names what is no option; 408 for a slow one.
pub async fn read_one(request: Request, options: &mut SubmitOptions) -> ApiResult<String> {
    match read(request, ONE, options).await? {
        Some(Value::String(url)) => Ok(url),
        _ => Err(missing("There is no image: image_url is to be the address of one.")),
    }
}

/// The same for the addresses of a batch, of which there is at least one.
///
/// # Errors
/// Those of [`read_one`].
pub async fn read_many(request: Request, options: &mut SubmitOptions) -> ApiResult<Vec<String>> {
    let text = |value| if let Value::String(text) = value { Some(text) } else { None };
    let urls = match read(request, MANY, options).await? {
        Some(Value::Array(urls)) => urls.into_iter().map(text).collect::<Option<Vec<_>>>(),
        _ => None,
    };
    let urls = urls.filter(|urls| !urls.is_empty());
    urls.ok_or_else(|| missing("There is no image: image_urls is to be a list of their addresses."))
}

fn missing(detail: &str) -> Problem {
    Problem::new(ErrorCode::MissingFile, detail)
}

async fn read(request: Request, images: &str, options: &mut SubmitOptions) -> ApiResult<Option<Value>> {
    let invalid = |detail: &str| Problem::new(ErrorCode::InvalidParameter, detail);
    let body = within(MAX_DURATION, async {
        let too_long = "The body ended before it was whole, or is longer than 256 KiB.";
        to_bytes(request.into_body(), MAX_BODY).await.map_err(|_| invalid(too_long))
    });
    let body: Map<String, Value> =
        serde_json::from_slice(&body.await?).map_err(|_| invalid("The body is not a JSON object."))?;
    let mut found = None;
    for (name, value) in body {
        match value {
            value if name == images => found = Some(value),
            Value::Null => {}
            Value::String(text) => options.add(&name, &text)?,
            Value::Bool(_) | Value::Number(_) => options.add(&name, &value.to_string())?,
            Value::Array(_) | Value::Object(_) => {
                let name: String = name.chars().take(QUOTED).collect();
                return Err(invalid(&format!("{name:?} takes a text, a number or a boolean.")));
            }
        }
    }
    Ok(found)
}

/// Fetches the image at `url` into the spool folder. The inner result says whether it could be had.
///
/// # Errors
/// 503 `storage_unavailable` when the spool folder cannot be written to.
pub async fn fetch(api: &Api, url: &str) -> ApiResult<Result<Spooled, JobError>> {
    let limit = api.settings.max_upload_bytes;
    let mut arriving = match api.fetcher.fetch(url).await {
        Ok(arriving) if arriving.declared_length().is_some_and(|length| length > limit) => {
            return Ok(Err(too_large(limit)));
        }
        Ok(arriving) => arriving,
        Err(error) => return Ok(Err(public(url, &error))),
    };
    let mut spool = Spool::new(api).await?;
    loop {
        match arriving.chunk().await {
            Ok(Some(chunk)) if spool.add(&chunk).await? => {}
            Ok(Some(_)) => return Ok(Err(too_large(limit))),
            Ok(None) => return spool.finish().await.map(Ok),
            Err(error) => return Ok(Err(public(url, &error))),
        }
    }
}

fn public(url: &str, error: &FetchError) -> JobError {
    let code = match error {
        FetchError::Refused(_) | FetchError::Name => ErrorCode::InvalidImageUrl,
        _ => ErrorCode::ImageUnreachable,
    };
    tracing::info!(?error, "an image could not be fetched");
    let url: String = url.chars().take(QUOTED).collect();
    JobError::new(code, format!("The image at {url:?} cannot be fetched: {error}."))
}

/// The name of the file at `url`: the end of its path.
pub fn filename(url: &str) -> Option<String> {
    let path = url.split(['?', '#']).next().unwrap_or_default();
    let path = path.split_once("://").map_or(path, |(_, rest)| rest);
    let (_, name) = path.rsplit_once('/')?;
    let name: String = name.chars().take(255).collect();
    Some(name).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_end_of_the_path() {
        for (url, name) in [
            ("https://example.com/a/b.jpg?size=2#top", Some("b.jpg")),
            ("https://example.com/", None),
            ("https://example.com", None),
            ("https://example.com/?/x.jpg", None),
        ] {
            assert_eq!(filename(url).as_deref(), name, "{url}");
        }
    }
}
