//! Batches: many images in one request, and what becomes of them together.

use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use remaster_shared::blob_key::BlobKey;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{BatchId, BatchRecord, BatchStatus, BatchView, Status};
use remaster_store::CancelError;

use super::jobs::{ShowQuery, accepted_at, has_another, shown, wait_of};
use crate::accept::{Accepted, Intake, KeyHeader, marked};
use crate::client::Client;
use crate::links::Links;
use crate::openapi::{BatchForm, Binary, OptionFields};
use crate::options::Pairs;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::quota;
use crate::state::{Api, Shared};
use crate::wait;
use crate::zip::{self, Entry, Names};

/// Submit many images
///
/// Send `multipart/form-data` with each image in a part named `file`; the options apply to all. Every file becomes a job of
/// the batch, in the order they come. A file that is refused (no picture, cut short, too large) is a job that has failed from the start, and
/// costs nothing; the others go on. Only a batch of nothing but such files is refused, as one of them would be. They are charged all or none. A `webhook_url` is told once, of the whole batch
/// (`batch.completed`).
#[utoipa::path(
    post, path = "/batches", tag = "batches", params(OptionFields, KeyHeader),
    request_body(content((BatchForm = "multipart/form-data"))),
    responses(
        (status = 202, description = "Queued", body = BatchView, headers(
            ("Location" = String, description = "The batch"),
            ("X-Quota-Used" = u64), ("X-Quota-Limit" = u64), ("X-Quota-Reset" = String),
            ("RateLimit-Policy" = String), ("RateLimit" = String)), links(
            ("look" = (operation_id = "show_batch", parameters(("id" = "$response.body#/id")))),
            ("follow" = (operation_id = "batch_events", parameters(("id" = "$response.body#/id")))),
            ("fetch" = (operation_id = "results", parameters(("id" = "$response.body#/id")))),
            ("cancel" = (operation_id = "cancel_batch", parameters(("id" = "$response.body#/id")))))),
        (status = 400, description = "`invalid_parameter`, `missing_file`, `invalid_webhook_url`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "`request_timeout`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`batch_too_large`, `file_too_large`: the form as a whole", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_format`, of every file", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`idempotency_key_reused`; `image_corrupt`, of every file", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`quota_exceeded`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 500, description = "`internal`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `store_unavailable`, `storage_unavailable`, `model_unavailable`",
         body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn submit_batch(
    State(api): State<Shared>,
    client: Client,
    Links(base): Links,
    query: Pairs,
    request: Request,
) -> Response {
    let intake = Intake { api: &api, client, base: &base, route: "batches" };
    let accepted = intake.batch(query, request).await;
    let answer = accepted.map(|Accepted { what, replayed }| {
        let view = what.view(&base);
        marked(accepted_at(&view.urls.self_url, &view), replayed)
    });
    quota::with_headers(&api, client, answer).await
}

/// Look at a batch
///
/// `ETag` changes with the batch; `If-None-Match` answers 304. With `?wait=N` the answer is held until
/// one of its counts changes.
#[utoipa::path(
    get, path = "/batches/{id}", tag = "batches", params(("id" = BatchId, Path), ShowQuery),
    responses(
        (status = 200, description = "The batch", body = BatchView, headers(("ETag" = String))),
        (status = 304, description = "Not changed"),
        (status = 400, description = "`invalid_parameter`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn show_batch(
    State(api): State<Shared>,
    Links(base): Links,
    Path(id): Path<String>,
    query: Result<Query<ShowQuery>, QueryRejection>,
    headers: HeaderMap,
) -> Answer {
    let (wait, id) = (wait_of(query)?, batch_id(&id)?);
    let mut batch = find(&api, id).await?;
    if let Some(wait) = wait
        && batch.status() == BatchStatus::Open
        && !has_another(&headers, &batch.view(&base))
    {
        let (seen, rest) = (batch.counts(), rest(&batch));
        batch = wait::until(&api, id.0, (wait, rest), || find(&api, id), |batch| batch.counts() != seen).await?;
    }
    shown(&batch.view(&base), &headers)
}

/// Cancel the rest of a batch
///
/// What waits is removed and refunded, what runs is told to stop, what is finished stays. 200 when everything has ended
/// with that, 202 while something has still to stop.
#[utoipa::path(
    delete, path = "/batches/{id}", tag = "batches", params(("id" = BatchId, Path)),
    responses(
        (status = 200, description = "Canceled", body = BatchView),
        (status = 202, description = "Told to stop", body = BatchView),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`already_finished`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn cancel_batch(State(api): State<Shared>, Links(base): Links, Path(id): Path<String>) -> Answer {
    let batch = api.store.cancel_batch(batch_id(&id)?).await.map_err(|error| match error {
        CancelError::NotFound => Problem::batch_not_found(),
        other => other.into(),
    })?;
    let status = if batch.status() == BatchStatus::Open { StatusCode::ACCEPTED } else { StatusCode::OK };
    Ok((status, Json(batch.view(&base))).into_response())
}

/// The pictures of a batch as a ZIP
///
/// Of a finished batch, every picture that was made, under the name of its file (`.png`), uncompressed. It is made as it is sent, so
/// its length is not known before.
#[utoipa::path(
    get, path = "/batches/{id}/results.zip", tag = "batches", params(("id" = BatchId, Path)),
    responses(
        (status = 200, description = "The ZIP", body = Binary, content_type = "application/zip"),
        (status = 404, description = "`not_found`, or no picture came of it", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`not_finished`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "`result_expired`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn results(State(api): State<Shared>, Path(id): Path<String>) -> Answer {
    let batch = find(&api, batch_id(&id)?).await?;
    let entries = entries(&batch)?;
    let about = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"remaster-{}.zip\"", batch.id)),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    Ok((about, Body::from_stream(zip::stream(api.blobs.clone(), entries))).into_response())
}

fn entries(batch: &BatchRecord) -> Answer<Vec<Entry>> {
    if batch.status() == BatchStatus::Open {
        let detail = "The batch is not finished; its jobs' own results are there one by one.";
        return Err(Problem::new(ErrorCode::NotFinished, detail));
    }
    let mut names = Names::default();
    let finished = batch.jobs.iter().filter(|job| job.status == Status::Succeeded);
    let entries: Vec<_> = finished
        .map(|job| Entry {
            name: names.png(job.input.filename.as_deref()),
            key: BlobKey::Output(job.id, job.attempt),
            bytes: job.result.as_ref().map_or(0, |result| result.bytes),
            made: job.finished_at.unwrap_or(batch.created_at),
        })
        .collect();
    if batch.jobs.iter().any(|job| job.status == Status::Expired) {
        // Not without them: nobody would see what is missing.
        let detail = "The time of the first results is over; those that are left are there one by one.";
        return Err(Problem::new(ErrorCode::ResultExpired, detail));
    }
    if entries.is_empty() {
        return Err(Problem::new(ErrorCode::NotFound, "No picture came of this batch; each of its jobs says why."));
    }
    Ok(entries)
}

/// How long a batch is not looked at again: it is read as a whole.
pub fn rest(batch: &BatchRecord) -> Duration {
    Duration::from_millis(50 + batch.jobs.len() as u64)
}

/// The batch as the store has it now.
pub async fn find(api: &Api, id: BatchId) -> Answer<BatchRecord> {
    api.store.batch(id).await?.ok_or_else(Problem::batch_not_found)
}

/// What is no id is the id of no batch.
pub fn batch_id(text: &str) -> Answer<BatchId> {
    text.parse().map_err(|_| Problem::batch_not_found())
}
