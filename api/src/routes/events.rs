//! Following a job, or a batch.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::sse::Event;
use futures::future::BoxFuture;
use remaster_shared::job::{BatchId, BatchRecord, BatchStatus, BatchView, JobId, JobRecord, JobView, UrlBase};
use uuid::Uuid;

use super::batches::{batch_id, find as find_batch, rest};
use super::jobs::{find, job_id};
use crate::etag::version;
use crate::follow::{Followed, ServerSentEvent, event, follow};
use crate::links::Links;
use crate::problem::{Answer, ProblemBody};
use crate::state::{Api, Shared};

/// Follow a job
///
/// Server-Sent Events named `job`, each with the job as data: first as it stands, then with every change, until it is
/// finished. A client that reconnects (`Last-Event-ID`) hears only what is new; 204 tells it that nothing more comes.
#[utoipa::path(
    get, path = "/jobs/{id}/events", tag = "jobs",
    params(
        ("id" = JobId, Path),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the event that was heard last"),
    ),
    responses(
        (status = 200, description = "The stream; the schema is that of one event", body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 204, description = "The job is finished, and the caller has heard so"),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn events(
    State(api): State<Shared>,
    Links(base): Links,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    follow(api, FollowedJob { id: job_id(&id)?, base }, &headers).await
}

struct FollowedJob {
    id: JobId,
    base: UrlBase,
}

impl Followed for FollowedJob {
    type State = JobRecord;

    const EVERY: Duration = Duration::from_millis(250);

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn look<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Answer<JobRecord>> {
        Box::pin(find(api, self.id))
    }

    fn is_over(job: &JobRecord) -> bool {
        job.status.is_terminal()
    }

    fn version(&self, job: &JobRecord) -> String {
        // How its webhook fares is no change of the job.
        let view = JobView { webhook: None, ..job.view(&self.base) };
        version(&serde_json::to_vec(&view).unwrap_or_default())
    }

    fn tell(&self, _before: Option<&JobRecord>, job: &JobRecord, version: &str) -> Vec<Event> {
        vec![event("job", &job.view(&self.base)).id(version)]
    }
}

/// Follow a batch
///
/// Server-Sent Events: `batch` with the whole batch as it stands, then `job` for each job that changed and `progress` with
/// the batch's counts, and `batch` once more when it is finished. A client that reconnects (`Last-Event-ID`) gets the whole
/// batch where something has changed since; 204 tells it that nothing more comes.
#[utoipa::path(
    get, path = "/batches/{id}/events", tag = "batches",
    params(
        ("id" = BatchId, Path),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the event that was heard last"),
    ),
    responses(
        (status = 200, description = "The stream; the schema is that of one event", body = ServerSentEvent, content_type = "text/event-stream"),
        (status = 204, description = "The batch is finished, and the caller has heard so"),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn batch_events(
    State(api): State<Shared>,
    Links(base): Links,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Answer {
    follow(api, FollowedBatch { id: batch_id(&id)?, base }, &headers).await
}

struct FollowedBatch {
    id: BatchId,
    base: UrlBase,
}

impl Followed for FollowedBatch {
    type State = BatchRecord;

    const EVERY: Duration = Duration::from_millis(500);

    fn id(&self) -> Uuid {
        self.id.0
    }

    fn look<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Answer<BatchRecord>> {
        Box::pin(find_batch(api, self.id))
    }

    fn rest(batch: &BatchRecord) -> Duration {
        rest(batch)
    }

    fn is_over(batch: &BatchRecord) -> bool {
        batch.status() != BatchStatus::Open
    }

    fn version(&self, batch: &BatchRecord) -> String {
        let view = BatchView { webhook: None, ..batch.view(&self.base) };
        version(&serde_json::to_vec(&view).unwrap_or_default())
    }

    fn tell(&self, before: Option<&BatchRecord>, batch: &BatchRecord, version: &str) -> Vec<Event> {
        let Some(before) = before else { return vec![event("batch", &batch.view(&self.base)).id(version)] };
        let changed = before.jobs.iter().zip(&batch.jobs).filter(|(before, job)| before != job);
        let mut events: Vec<_> = changed.map(|(_, job)| event("job", &job.view(&self.base))).collect();
        events.push(if Self::is_over(batch) {
            event("batch", &batch.view(&self.base)).id(version)
        } else {
            event("progress", &batch.summary()).id(version)
        });
        events
    }
}
