//! Jobs: submit, look, cancel.

use std::time::Duration;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{JobId, JobRecord, JobView, UrlBase};

use serde::{Deserialize, Serialize};

use crate::accept::{Accepted, Intake, KeyHeader, marked};
use crate::client::Client;
use crate::etag::{is_known, version};
use crate::links::Links;
use crate::openapi::{Binary, OptionFields, UploadForm};
use crate::options::Pairs;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::quota;
use crate::state::{Api, Shared};
use crate::wait;

/// Submit one image as a job
///
/// Send `multipart/form-data` with the image in `file` and options as fields, or the image itself as the body (with an
/// `image/*` content type) and options in the query. Charges one unit of the caller's daily quota; a refused request
/// charges nothing. With `Prefer: wait=N` (N up to 60 seconds) the answer is held until the job is finished, and is
/// then 200. Sent again with the same `Idempotency-Key` within 24 hours, it answers with the same job and charges nothing.
#[utoipa::path(
    post, path = "/jobs", tag = "jobs",
    params(OptionFields, KeyHeader, ("Prefer" = Option<String>, Header, description = "`wait=N`, N from 0 to 60")),
    request_body(content(
        (UploadForm = "multipart/form-data"),
        (Binary = "image/jpeg"), (Binary = "image/png"), (Binary = "image/webp"), (Binary = "image/tiff"),
    )),
    responses(
        (status = 202, description = "Queued", body = JobView, headers(
            ("Location" = String, description = "The job"),
            ("X-Quota-Used" = u64), ("X-Quota-Limit" = u64), ("X-Quota-Reset" = String),
            ("RateLimit-Policy" = String), ("RateLimit" = String)), links(
            ("look" = (operation_id = "show", parameters(("id" = "$response.body#/id")))),
            ("follow" = (operation_id = "events", parameters(("id" = "$response.body#/id")))),
            ("fetch" = (operation_id = "result", parameters(("id" = "$response.body#/id")))),
            ("cancel" = (operation_id = "cancel", parameters(("id" = "$response.body#/id")))))),
        (status = 200, description = "Finished within `Prefer: wait`", body = JobView),
        (status = 400, description = "`invalid_parameter`, `missing_file`, `invalid_webhook_url`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "`request_timeout`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`file_too_large`, `image_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_format`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`image_corrupt`, `idempotency_key_reused`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`quota_exceeded`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 500, description = "`internal`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `store_unavailable`, `storage_unavailable`, `model_unavailable`",
         body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn submit(
    State(api): State<Shared>,
    client: Client,
    Links(base): Links,
    headers: HeaderMap,
    query: Pairs,
    request: Request,
) -> Response {
    let answer = submit_and_wait(&api, client, &base, &headers, query, request).await;
    quota::with_headers(&api, client, answer).await
}

async fn submit_and_wait(
    api: &Shared,
    client: Client,
    base: &UrlBase,
    headers: &HeaderMap,
    query: Pairs,
    request: Request,
) -> Answer {
    let patience = preferred_wait(headers)?;
    let intake = Intake { api, client, base, route: "jobs" };
    let Accepted { what: job, replayed } = intake.job(JobId::random(), query, request).await?;
    let Some(patience) = patience else { return Ok(marked(accepted(&job, base), replayed)) };
    // From here on the job is there, whatever happens: every answer names it.
    let job = end_of(api, job.id, patience).await.unwrap_or(job);
    let mut response =
        if job.status.is_terminal() { Json(job.view(base)).into_response() } else { accepted(&job, base) };
    if let Ok(applied) = HeaderValue::from_str(&format!("wait={}", patience.as_secs())) {
        response.headers_mut().insert("preference-applied", applied);
    }
    Ok(marked(response, replayed))
}

/// The seconds of a `Prefer: wait=N`; other preferences are not ours to honour.
fn preferred_wait(headers: &HeaderMap) -> Answer<Option<Duration>> {
    let preferences = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let wait = preferences.flat_map(|value| value.split([',', ';'])).find_map(|one| one.trim().strip_prefix("wait="));
    wait.map(|seconds| wait::parse("Prefer: wait", seconds)).transpose()
}

/// 202 with the job and where to find it.
pub fn accepted(job: &JobRecord, base: &UrlBase) -> Response {
    let view = job.view(base);
    accepted_at(&view.urls.self_url, &view)
}

/// 202 with `view` and where to find it again.
pub fn accepted_at(location: &str, view: &impl Serialize) -> Response {
    (StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(view)).into_response()
}

#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ShowQuery {
    /// Hold the answer until it changes, for so many seconds at most (0 to 60).
    #[param(value_type = Option<u32>, minimum = 0, maximum = 60)]
    wait: Option<String>,
}

/// Look at a job
///
/// `ETag` changes with the job; `If-None-Match` answers 304. With `?wait=N` the answer is held until the job changes.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs", params(("id" = JobId, Path), ShowQuery),
    responses(
        (status = 200, description = "The job", body = JobView, headers(("ETag" = String))),
        (status = 304, description = "Not changed"),
        (status = 400, description = "`invalid_parameter`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    State(api): State<Shared>,
    Links(base): Links,
    Path(id): Path<String>,
    query: Result<Query<ShowQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let (wait, id) = (wait_of(query)?, job_id(&id)?);
    let mut job = find(&api, id).await?;
    if let Some(wait) = wait
        && !job.status.is_terminal()
        && !has_another(&headers, &job.view(&base))
    {
        let seen = (job.status, job.progress, job.attempt);
        job = wait::until(
            &api,
            id.0,
            (wait, Duration::ZERO),
            || find(&api, id),
            |job| (job.status, job.progress, job.attempt) != seen,
        )
        .await?;
    }
    shown(&job.view(&base), &headers)
}

/// How long the caller would wait for a change.
pub fn wait_of(query: Result<Query<ShowQuery>, QueryRejection>) -> Answer<Option<Duration>> {
    let Query(query) =
        query.map_err(|_| Problem::new(ErrorCode::InvalidParameter, "The only query parameter is wait."))?;
    query.wait.as_deref().map(|text| wait::parse("wait", text)).transpose()
}

fn tag(body: &[u8]) -> String {
    format!("\"{}\"", version(body))
}

/// Whether the caller has a version that is not this one: there is nothing to wait for.
pub fn has_another(headers: &HeaderMap, view: &impl Serialize) -> bool {
    let known = || serde_json::to_vec(view).is_ok_and(|body| is_known(headers, &tag(&body)));
    headers.contains_key(header::IF_NONE_MATCH) && !known()
}

/// 200 with `view` and its version, or 304 to who has it.
pub fn shown(view: &impl Serialize, headers: &HeaderMap) -> Answer {
    let body = serde_json::to_vec(view)
        .map_err(|error| Problem::new(ErrorCode::Internal, format!("It cannot be shown: {error}.")))?;
    let tag = tag(&body);
    let fresh = [(header::ETAG, tag.clone()), (header::CACHE_CONTROL, "no-cache".into())];
    if is_known(headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, fresh).into_response());
    }
    Ok((fresh, [(header::CONTENT_TYPE, "application/json")], body).into_response())
}

/// Cancel a job
///
/// A queued job is removed and its unit refunded (200). A running job is told to stop, which it does within a tile
/// (202).
#[utoipa::path(
    delete, path = "/jobs/{id}", tag = "jobs", params(("id" = JobId, Path)),
    responses(
        (status = 200, description = "Canceled", body = JobView),
        (status = 202, description = "Told to stop", body = JobView),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`already_finished`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn cancel(State(api): State<Shared>, Links(base): Links, Path(id): Path<String>) -> Answer {
    let job = api.store.cancel(job_id(&id)?).await?;
    let status = if job.status.is_terminal() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(job.view(&base))).into_response())
}

/// The job as the store has it now.
pub async fn find(api: &Api, id: JobId) -> Answer<JobRecord> {
    api.store.get(id).await?.ok_or_else(Problem::job_not_found)
}

/// The job when it has ended, or as it stands after `at_most`.
pub async fn end_of(api: &Api, id: JobId, at_most: Duration) -> Answer<JobRecord> {
    wait::until(api, id.0, (at_most, Duration::ZERO), || find(api, id), |job| job.status.is_terminal()).await
}

/// What is no id is the id of no job.
pub fn job_id(text: &str) -> Answer<JobId> {
    text.parse().map_err(|_| Problem::job_not_found())
}
