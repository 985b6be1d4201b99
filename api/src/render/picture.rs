//! The picture of a job: whole, in part, or as a redirect to the object storage.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, Method, StatusCode, header};
use axum::response::IntoResponse;
use http_range_header::{ParsedRanges, parse_range_header};
use remaster_blobs::BlobError;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{EnhanceParams, JobRecord, JobResult, Status};

use super::etag::{entity_tag, is_known};
use crate::problem::{ApiResult, Problem};
use crate::state::Api;

/// How long a presigned URL works.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

/// The answer to `GET /jobs/{id}/result`, with regard to `If-None-Match`, `Range` and `If-Range`.
///
/// # Errors
/// 409 when the job has no result, 410 when the result expired, 503 when the object storage does not answer.
pub async fn result(api: &Api, job: &JobRecord, method: &Method, headers: &HeaderMap) -> ApiResult {
    let (result, key) = finished(job)?;
    let tag = entity_tag(&result.sha256);
    if is_known(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    // A URL that is signed for GET does not work for HEAD.
    if method == Method::GET
        && let Some(url) = api.blobs.signed(key, &download_name(job), SIGNED_FOR).await?
    {
        let redirect = [(header::LOCATION, url), (header::ETAG, tag), (header::CACHE_CONTROL, "no-store".into())];
        return Ok((StatusCode::TEMPORARY_REDIRECT, redirect).into_response());
    }
    // A range of another version would not fit what the caller has, so the whole picture is sent.
    let same_version = headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes());
    match asked_range(headers, result.bytes).filter(|_| same_version) {
        None => whole(api, job).await,
        Some(range) => part(api, job, (result, key), &range).await,
    }
}

/// 200 with the whole picture.
///
/// # Errors
/// 409 when the job has no result, 410 when the result expired, 503 when the object storage does not answer.
pub async fn whole(api: &Api, job: &JobRecord) -> ApiResult {
    let (result, key) = finished(job)?;
    let stream = api.blobs.stream(key, None).await.map_err(missing)?;
    let length = [(header::CONTENT_LENGTH, stream.size.to_string())];
    Ok((picture_headers(job, result), length, Body::from_stream(stream.body)).into_response())
}

/// 206 with the first of the ranges that were asked for, or 416. RFC 9110 allows a server to answer a request for several
/// ranges with only one of them.
async fn part(api: &Api, job: &JobRecord, (result, key): (&JobResult, BlobKey), ranges: &ParsedRanges) -> ApiResult {
    let size = result.bytes;
    let first = ranges.validate(size).ok().and_then(|ranges| ranges.into_iter().next());
    let Some((start, end)) = first.map(|range| range.into_inner()) else {
        let bounds = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, bounds).into_response());
    };
    let stream = api.blobs.stream(key, Some(start..end + 1)).await.map_err(missing)?;
    let bounds = [
        (header::CONTENT_RANGE, format!("bytes {start}-{end}/{size}")),
        (header::CONTENT_LENGTH, (end + 1 - start).to_string()),
    ];
    let headers = picture_headers(job, result);
    Ok((StatusCode::PARTIAL_CONTENT, headers, bounds, Body::from_stream(stream.body)).into_response())
}

/// The `Range` header. One that cannot be read is ignored, as RFC 9110 asks.
fn asked_range(headers: &HeaderMap, size: u64) -> Option<ParsedRanges> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    // A suffix that is longer than the picture means the whole picture.
    let is_whole =
        text.strip_prefix("bytes=-").and_then(|suffix| suffix.parse::<u64>().ok()).is_some_and(|suffix| suffix >= size);
    if is_whole { None } else { parse_range_header(text).ok() }
}

/// The result of a job that succeeded, or why there is none.
fn finished(job: &JobRecord) -> ApiResult<(&JobResult, BlobKey)> {
    let not_finished = |detail: String| Problem::new(ErrorCode::NotFinished, detail);
    match (job.status, job.result.as_ref().zip(job.output_key()), &job.error) {
        (Status::Succeeded, Some(result), _) => Ok(result),
        (Status::Expired, ..) => {
            Err(Problem::new(ErrorCode::ResultExpired, "The result was deleted when its time had come."))
        }
        (Status::Canceled, ..) => Err(Problem::new(ErrorCode::Canceled, "The job was canceled; there is no result.")),
        (Status::Failed, _, Some(error)) => Err(not_finished(format!("The job failed ({error}); there is no result."))),
        (status, ..) => Err(not_finished(format!("The job is {status}; there is no result yet."))),
    }
}

fn picture_headers(job: &JobRecord, result: &JobResult) -> [(HeaderName, String); 5] {
    [
        (header::CONTENT_TYPE, job.params.format.media_type().into()),
        (header::ETAG, entity_tag(&result.sha256)),
        (header::ACCEPT_RANGES, "bytes".into()),
        (header::CACHE_CONTROL, "private, max-age=3600".into()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{}\"", download_name(job))),
    ]
}

/// The name of the upload with the scale added, in ASCII.
fn download_name(job: &JobRecord) -> String {
    let name = job.input.filename.as_deref().unwrap_or("picture");
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let safe: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    let EnhanceParams { scale, format, .. } = &job.params;
    format!("{safe}_x{}.{}", scale.factor(), format.extension())
}

/// If the object is missing although the job has a result, it was deleted after the job was read.
fn missing(error: BlobError) -> Problem {
    match error {
        BlobError::NotFound(_) => Problem::new(ErrorCode::ResultExpired, "The result is no longer kept."),
        other => other.into(),
    }
}
