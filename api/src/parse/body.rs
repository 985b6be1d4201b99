//! What the headers of a request say of its body, and how long the body may take.

use std::time::Duration;

use axum::extract::Request;
use axum::http::header;
use remaster_shared::error::ErrorCode;

use crate::problem::{ApiResult, Problem};

/// An upload that pauses for longer than this is given up.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// The length that the request declares, if it does.
pub fn declared_length(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok())
}

/// The media type that the request declares, in lower case and without parameters. Empty when there is none.
pub fn media_type(request: &Request) -> String {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
    value.split(';').next().unwrap_or("").trim().to_ascii_lowercase()
}

/// The next piece of a body.
///
/// # Errors
/// 408 `request_timeout` when nothing arrives for half a minute.
pub async fn without_pause<T>(piece: impl Future<Output = T>) -> ApiResult<T> {
    let paused = |_| Problem::new(ErrorCode::RequestTimeout, "The upload paused for too long; nothing was charged.");
    tokio::time::timeout(MAX_PAUSE, piece).await.map_err(paused)
}

/// The whole of an upload.
///
/// # Errors
/// 408 `request_timeout` when it takes longer than `at_most`, and whatever `upload` fails with.
pub async fn within<T>(at_most: Duration, upload: impl Future<Output = ApiResult<T>>) -> ApiResult<T> {
    let late = |_| Problem::new(ErrorCode::RequestTimeout, "The upload took too long; nothing was charged.");
    tokio::time::timeout(at_most, upload).await.map_err(late)?
}
