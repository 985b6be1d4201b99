//! A job's picture.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_range_header::{ParsedRanges, parse_range_header};
use remaster_blobs::BlobError;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{JobId, JobRecord, JobResult, Status};

use super::jobs::{find, job_id};
use crate::etag::is_known;
use crate::openapi::Binary;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::{Api, Shared};

/// The finished PNG
///
/// Where the object storage signs URLs the answer is 307 to one that works for a quarter of an hour. Else it is the picture,
/// with `Range` and `If-None-Match`.
#[utoipa::path(
    get, path = "/jobs/{id}/result", tag = "jobs", params(("id" = JobId, Path)),
    responses(
        (status = 200, description = "The picture", body = Binary, content_type = "image/png", headers(("ETag" = String))),
        (status = 206, description = "The asked range of it", body = Binary, content_type = "image/png"),
        (status = 304, description = "Not changed"),
        (status = 307, description = "It lies there", headers(("Location" = String))),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`not_finished`, or the job failed or was canceled", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "`result_expired`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 416, description = "The range lies outside the picture"),
        (status = 503, description = "`store_unavailable`, `storage_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn result(State(api): State<Shared>, method: Method, Path(id): Path<String>, headers: HeaderMap) -> Answer {
    let job = find(&api, job_id(&id)?).await?;
    let result = finished(&job)?;
    let tag = etag(result);
    if is_known(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, tag)]).into_response());
    }
    // Signed for a GET, such a URL is of no use to a HEAD.
    if method == Method::GET
        && let Some(url) = api.blobs.signed(output(&job), &download_name(&job), SIGNED_FOR).await?
    {
        let redirect = [(header::LOCATION, url), (header::ETAG, tag), (header::CACHE_CONTROL, "no-store".into())];
        return Ok((StatusCode::TEMPORARY_REDIRECT, redirect).into_response());
    }
    // A range of another version is no use: the whole picture is.
    let same = headers.get(header::IF_RANGE).is_none_or(|known| known.as_bytes() == tag.as_bytes());
    match asked_range(&headers, result.bytes).filter(|_| same) {
        None => whole(&api, &job, result).await,
        Some(range) => part(&api, &job, result, &range).await,
    }
}

/// How long a signed URL works.
const SIGNED_FOR: Duration = Duration::from_secs(15 * 60);

fn output(job: &JobRecord) -> BlobKey {
    BlobKey::Output(job.id, job.attempt)
}

/// The result of a job that has one.
fn finished(job: &JobRecord) -> Answer<&JobResult> {
    let not_finished = |detail: String| Problem::new(ErrorCode::NotFinished, detail);
    match (job.status, &job.result, &job.error) {
        (Status::Succeeded, Some(result), _) => Ok(result),
        (Status::Expired, ..) => {
            Err(Problem::new(ErrorCode::ResultExpired, "The result was deleted when its time had come."))
        }
        (Status::Canceled, ..) => Err(Problem::new(ErrorCode::Canceled, "The job was canceled; there is no result.")),
        (Status::Failed, _, Some(error)) => Err(not_finished(format!("The job failed ({error}); there is no result."))),
        (status, ..) => Err(not_finished(format!("The job is {status}; there is no result yet."))),
    }
}

fn etag(result: &JobResult) -> String {
    format!("\"{}\"", result.sha256)
}

/// 200 with all of it.
pub async fn whole(api: &Api, job: &JobRecord, result: &JobResult) -> Answer {
    let stream = api.blobs.stream(output(job), None).await.map_err(gone)?;
    let length = [(header::CONTENT_LENGTH, stream.size.to_string())];
    Ok((about(job, result), length, Body::from_stream(stream.body)).into_response())
}

/// 206 with the first of the asked ranges; several at once are answered by the first, which the standard allows.
async fn part(api: &Api, job: &JobRecord, result: &JobResult, range: &ParsedRanges) -> Answer {
    let size = result.bytes;
    let Some((start, end)) =
        range.validate(size).ok().and_then(|ranges| ranges.first().map(|r| (*r.start(), *r.end())))
    else {
        let bounds = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
        return Ok((StatusCode::RANGE_NOT_SATISFIABLE, bounds).into_response());
    };
    let stream = api.blobs.stream(output(job), Some(start..end + 1)).await.map_err(gone)?;
    let bounds = [
        (header::CONTENT_RANGE, format!("bytes {start}-{end}/{size}")),
        (header::CONTENT_LENGTH, (end + 1 - start).to_string()),
    ];
    Ok((StatusCode::PARTIAL_CONTENT, about(job, result), bounds, Body::from_stream(stream.body)).into_response())
}

/// The `Range` header, if it has a sense; one that has none is ignored, as the standard asks.
fn asked_range(headers: &HeaderMap, size: u64) -> Option<ParsedRanges> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    // More from the end than there is means all of it.
    let beyond =
        text.strip_prefix("bytes=-").and_then(|last| last.parse::<u64>().ok()).is_some_and(|last| last >= size);
    if beyond { None } else { parse_range_header(text).ok() }
}

fn about(job: &JobRecord, result: &JobResult) -> [(header::HeaderName, String); 5] {
    [
        (header::CONTENT_TYPE, "image/png".into()),
        (header::ETAG, etag(result)),
        (header::ACCEPT_RANGES, "bytes".into()),
        (header::CACHE_CONTROL, "private, max-age=3600".into()),
        (header::CONTENT_DISPOSITION, format!("inline; filename=\"{}\"", download_name(job))),
    ]
}

/// The upload's name with what was done to it, in plain ASCII.
fn download_name(job: &JobRecord) -> String {
    let name = job.input.filename.as_deref().unwrap_or("picture");
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let safe: String =
        stem.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect();
    format!("{safe}_x{}.png", job.params.scale.factor())
}

/// A result that the store knows and the storage does not was deleted between the two looks.
fn gone(error: BlobError) -> Problem {
    match error {
        BlobError::NotFound(_) => Problem::new(ErrorCode::ResultExpired, "The result is no longer kept."),
        other => other.into(),
    }
}

/// The picture as the answer of a synchronous call.
pub async fn rendered(api: &Api, job: &JobRecord) -> Answer<Response> {
    whole(api, job, finished(job)?).await
}
