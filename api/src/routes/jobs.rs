//! `GET` and `DELETE /jobs/{id}`.

use std::time::Duration;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use remaster_shared::job::{JobId, JobRecord, JobView};

use crate::lookup::long_poll::{Wait, wait_until};
use crate::lookup::records::find_job;
use crate::openapi::{Canceled, Versioned};
use crate::parse::base_url::BaseUrl;
use crate::parse::client::Client;
use crate::parse::id::job_id;
use crate::parse::wait::{WaitQuery, query_wait};
use crate::problem::ApiResult;
use crate::render::view::{canceled, has_other_version, versioned};
use crate::state::Shared;

/// Look at a job
///
/// The `ETag` changes with the job, and `If-None-Match` answers 304 as long as it does not. With `?wait=N` the answer is held
/// until the job changes.
#[utoipa::path(
    get, path = "/jobs/{id}", tag = "jobs", params(("id" = JobId, Path), WaitQuery), responses(Versioned<JobView>),
)]
pub async fn show(
    State(api): State<Shared>,
    client: Client,
    BaseUrl(base): BaseUrl,
    Path(id): Path<String>,
    query: Result<Query<WaitQuery>, QueryRejection>,
    headers: HeaderMap,
) -> ApiResult {
    let (at_most, id) = (query_wait(query)?, job_id(&id)?);
    let mut job = find_job(&api, id).await?;
    if let Some(at_most) = at_most
        && !job.status.is_terminal()
        && !has_other_version(&headers, &job.view(&base))
    {
        let _turn = api.follows.take(client.key).await?;
        let seen = (job.status, job.progress, job.attempt);
        let wait = Wait { id: id.0, at_most, read_pause: Duration::ZERO };
        let has_changed = |job: &JobRecord| (job.status, job.progress, job.attempt) != seen;
        job = wait_until(&api, wait, || find_job(&api, id), has_changed).await?;
    }
    versioned(&job.view(&base), &headers)
}

/// Cancel a job
///
/// A job that waits in the queue is removed (200), and its unit of the quota is refunded unless an earlier attempt has failed. The
/// worker of a running job is told to stop, which it does before the next tile of the picture (202).
#[utoipa::path(
    delete, path = "/jobs/{id}", tag = "jobs", params(("id" = JobId, Path)), responses(Canceled<JobView>),
)]
pub async fn cancel(State(api): State<Shared>, BaseUrl(base): BaseUrl, Path(id): Path<String>) -> ApiResult {
    let job = api.store.cancel(job_id(&id)?).await?;
    Ok(canceled(job.status.is_terminal(), &job.view(&base)))
}
