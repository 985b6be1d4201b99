//! `POST /jobs`.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use remaster_shared::job::{JobId, JobRecord, JobView, UrlBase};

use crate::lookup::long_poll::wait_for_end;
use crate::openapi::{Accepted, Binary, ImageUrl, JobRefused, OptionParams, UploadForm};
use crate::parse::base_url::BaseUrl;
use crate::parse::client::Client;
use crate::parse::idempotency::IdempotencyHeader;
use crate::parse::options::QueryPairs;
use crate::parse::submit_request::SubmitReader;
use crate::parse::wait::preferred_wait;
use crate::problem::ApiResult;
use crate::render::quota_headers::{knowing, with_quota};
use crate::render::view::{accepted_job, mark_replayed};
use crate::state::Shared;
use crate::submit::{Submitted, submit_job};

/// Submit one image as a job
///
/// Send `multipart/form-data` with the image in `file` and the options as fields, or the image itself as the body (with an
/// `image/*` content type) and the options in the query. A job costs one unit of the caller's daily quota; a request that is
/// refused costs nothing. With `Prefer: wait=N` (N up to 60 seconds) the answer is held until the job is finished, and is
/// then 200. When a request is sent again with the same `Idempotency-Key` within 24 hours, it answers with the same job and
/// costs nothing.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs",
    params(
        OptionParams, IdempotencyHeader,
        ("Prefer" = Option<String>, Header, description = "`wait=N` holds the answer for up to N seconds (0 to 60)."),
    ),
    request_body(content(
        (UploadForm = "multipart/form-data"), (ImageUrl = "application/json"),
        (Binary = "image/jpeg"), (Binary = "image/png"), (Binary = "image/webp"), (Binary = "image/tiff"),
        (Binary = "image/gif"), (Binary = "image/bmp"), (Binary = "image/heic"),
    )),
    responses(
        (status = 200, description = "The job was finished within the time of `Prefer: wait`.", body = JobView),
        Accepted<JobView>, JobRefused,
    ),
)]
pub async fn submit(
    State(api): State<Shared>,
    client: Client,
    BaseUrl(base): BaseUrl,
    headers: HeaderMap,
    query: QueryPairs,
    request: Request,
) -> Response {
    let reader = SubmitReader { api: &api, client, base: &base, route: "jobs" };
    let answer = answer(reader, &headers, query, request).await;
    with_quota(&api, client, answer).await
}

async fn answer(reader: SubmitReader<'_>, headers: &HeaderMap, query: QueryPairs, request: Request) -> ApiResult {
    let SubmitReader { api, client, base, .. } = reader;
    let at_most = preferred_wait(headers)?;
    let request = reader.upload(query, request).await?;
    let Submitted { record: job, quota, replayed } = submit_job(api, JobId::of(request.client.key), request).await?;
    let Some(at_most) = at_most else { return Ok(knowing(quota, mark_replayed(accepted_job(&job, base), replayed))) };
    // The job exists, so that a failure from here on must not keep its id from the caller.
    let job = wait_for_end(api, client, job.id, at_most).await.unwrap_or(job);
    let mut response = finished_or_accepted(&job, base);
    if let Ok(applied) = HeaderValue::from_str(&format!("wait={}", at_most.as_secs())) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(mark_replayed(response, replayed))
}

fn finished_or_accepted(job: &JobRecord, base: &UrlBase) -> Response {
    if job.status.is_terminal() { Json(job.view(base)).into_response() } else { accepted_job(job, base) }
}
