//! `GET /jobs/{id}/events` and `GET /batches/{id}/events`.

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use remaster_shared::job::{BatchId, JobId};

use crate::openapi::{EventStream, LookupRefused};
use crate::parse::base_url::BaseUrl;
use crate::parse::client::Client;
use crate::parse::id::{batch_id, job_id};
use crate::problem::ApiResult;
use crate::render::batch_events::FollowedBatch;
use crate::render::job_events::FollowedJob;
use crate::render::sse::{LastEventIdHeader, follow};
use crate::state::Shared;

/// Follow a job
///
/// The answer is a stream of Server-Sent Events named `job`, each with the job as its data: first the job as it is, then every
/// change, until the job has ended. A client that connects again with `Last-Event-ID` receives only what is new, and 204 when
/// nothing more will come.
#[utoipa::path(
    get, path = "/jobs/{id}/events", tag = "jobs", params(("id" = JobId, Path), LastEventIdHeader),
    responses(EventStream, LookupRefused),
)]
pub async fn events(
    State(api): State<Shared>,
    client: Client,
    BaseUrl(base): BaseUrl,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> ApiResult {
    follow(api, client, FollowedJob { id: job_id(&id)?, base }, &headers).await
}

/// Follow a batch
///
/// The answer is a stream of Server-Sent Events: `batch` with the whole batch as it is, then `job` for each job that changed
/// and `progress` with the counts of the batch, and `batch` once more when it is finished. A client that connects again with
/// `Last-Event-ID` receives the whole batch if something has changed since, and 204 when nothing more will come.
#[utoipa::path(
    get, path = "/batches/{id}/events", tag = "batches", params(("id" = BatchId, Path), LastEventIdHeader),
    responses(EventStream, LookupRefused),
)]
pub async fn batch_events(
    State(api): State<Shared>,
    client: Client,
    BaseUrl(base): BaseUrl,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> ApiResult {
    follow(api, client, FollowedBatch { id: batch_id(&id)?, base }, &headers).await
}
