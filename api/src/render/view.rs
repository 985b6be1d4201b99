//! Jobs and batches as JSON.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{JobRecord, UrlBase};
use serde::Serialize;

use super::etag::{entity_tag, is_known, version};
use crate::problem::{ApiResult, Problem};

/// 202 with the job and its `Location`.
pub fn accepted_job(job: &JobRecord, base: &UrlBase) -> Response {
    let view = job.view(base);
    accepted(&view.urls.self_url, &view)
}

/// 202 with `view`, which is found again at `location`.
pub fn accepted(location: &str, view: &impl Serialize) -> Response {
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(view)).into_response()
}

/// The answer to a cancel: 200 when everything has ended, 202 when a worker was told to stop.
pub fn canceled(has_ended: bool, view: &impl Serialize) -> Response {
    let status = if has_ended { StatusCode::OK } else { StatusCode::ACCEPTED };
    (status, Json(view)).into_response()
}

/// 200 with `view` and its `ETag`, or 304 when the caller has this version.
///
/// # Errors
/// 500 `internal` when the view cannot be written as JSON.
pub fn versioned(view: &impl Serialize, headers: &HeaderMap) -> ApiResult {
    let body = serde_json::to_vec(view)
        .map_err(|error| Problem::new(ErrorCode::Internal, format!("It cannot be shown: {error}.")))?;
    let tag = entity_tag(&version(&body));
    let caching = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".into())];
    if is_known(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    Ok((caching, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Whether the caller has a version other than `view`, so that there is something new to send without waiting.
pub fn has_other_version(headers: &HeaderMap, view: &impl Serialize) -> bool {
    let has_this = || serde_json::to_vec(view).is_ok_and(|body| is_known(headers, &entity_tag(&version(&body))));
    headers.contains_key(header::IF_NONE_MATCH) && !has_this()
}

/// Marks the answer to a repeated request.
pub fn mark_replayed(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}
