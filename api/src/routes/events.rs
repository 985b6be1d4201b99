//! A job's changes as they come, by Server-Sent Events.
//!
//! Fed by the store's notifications, so it does not matter which node took the job, which works on it and which is asked;
//! each change costs one look at the job.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures::{Stream, stream};
use remaster_shared::job::{JobRecord, UrlBase};
use remaster_shared::store::Watch;
use tokio::time::Instant;

use super::jobs::job_id;
use crate::etag::version;
use crate::links::Links;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::Shared;
use crate::wait::FALLBACK;

/// Progress is told no more often than this; an end is told at once.
const EVERY: Duration = Duration::from_millis(250);
/// A comment at this pace keeps proxies from closing a silent connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client that lost the connection comes back.
const RETRY: Duration = Duration::from_secs(2);

/// Follow a job
///
/// Server-Sent Events named `job`, each with the job as data: first as it stands, then with every change, until it is
/// finished. A client that reconnects (`Last-Event-ID`) hears only what is new; 204 tells it that nothing more comes.
#[utoipa::path(
    get, path = "/jobs/{id}/events", tag = "jobs",
    params(
        ("id" = remaster_shared::job::JobId, Path),
        ("Last-Event-ID" = Option<String>, Header, description = "The id of the event that was heard last"),
    ),
    responses(
        (status = 200, description = "Events `job`, their data a JobView", body = String, content_type = "text/event-stream"),
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
) -> Answer<Response> {
    let id = job_id(&id)?;
    // Subscribed before the first look, so that no change falls between.
    let watch = api.store.watch(id.0);
    let job = api.store.get(id).await?.ok_or_else(Problem::job_not_found)?;
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let follower = Follower { api, base, watch, told: heard, last: Instant::now() - EVERY, job: Some(job) };
    if follower.job.as_ref().is_some_and(|job| over(job) && follower.told == Some(follower.tell(job).0)) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let stream = Sse::new(follower.stream()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([("cache-control", "no-cache"), ("x-accel-buffering", "no")], stream).into_response())
}

fn over(job: &JobRecord) -> bool {
    job.status.is_terminal()
}

/// One caller who follows one job.
struct Follower {
    api: Shared,
    base: UrlBase,
    watch: Watch,
    /// The id of the event that was told last.
    told: Option<String>,
    last: Instant,
    /// The job as it was looked at and not told yet; `None` once its end is told.
    job: Option<JobRecord>,
}

impl Follower {
    /// The event's id and data.
    fn tell(&self, job: &JobRecord) -> (String, String) {
        let data = serde_json::to_string(&job.view(&self.base)).unwrap_or_default();
        (version(data.as_bytes()), data)
    }

    fn stream(self) -> impl Stream<Item = Result<Event, std::convert::Infallible>> {
        stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((Ok(event), follower))
        })
    }

    /// The next event; `None` when the job's end has been told, or the server is about to stop and the caller should ask
    /// another.
    async fn next(&mut self) -> Option<Event> {
        loop {
            let job = self.job.take()?;
            let (id, data) = self.tell(&job);
            let known = self.told.as_ref() == Some(&id);
            if !over(&job) {
                self.job = Some(job);
            } else if known {
                return None;
            }
            if !known {
                (self.told, self.last) = (Some(id.clone()), Instant::now());
                return Some(Event::default().event("job").id(id).retry(RETRY).data(data));
            }
            self.job = Some(self.look().await?);
        }
    }

    /// The job after its next change, or when it is time to look again. Changes that come too soon are told as one,
    /// unless they are the end.
    async fn look(&mut self) -> Option<JobRecord> {
        let id = self.job.as_ref()?.id;
        let ready = self.last + EVERY;
        let mut newest = None;
        loop {
            tokio::select! {
                () = self.watch.changed() => {}
                () = tokio::time::sleep_until(ready), if newest.is_some() => return newest,
                () = tokio::time::sleep(FALLBACK) => {}
                () = self.api.stopping.cancelled() => return None,
            }
            // A store that does not answer now is asked again at its next sign of life.
            let Ok(Some(job)) = self.api.store.get(id).await else { continue };
            if over(&job) || Instant::now() >= ready {
                return Some(job);
            }
            newest = Some(job);
        }
    }
}
