//! A job's or a batch's changes as they come, by Server-Sent Events.
//!
//! Fed by the store's notifications, so it does not matter which node took the job, which works on it and which is asked;
//! each change costs one look.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, future::BoxFuture, stream};
use remaster_store::Watch;
use tokio::time::Instant;
use uuid::Uuid;

use crate::problem::Answer;
use crate::state::{Api, Shared};
use crate::wait::FALLBACK;

/// A comment at this pace keeps proxies from closing a silent connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How soon a client that lost the connection comes back.
const RETRY: Duration = Duration::from_secs(2);

/// One event, for the documentation.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its documentation is used")]
pub struct ServerSentEvent {
    /// What `data` is: of a job's stream `job`; of a batch's `batch`, `job` or `progress`.
    event: String,
    /// JSON: a JobView, a BatchView or, of `progress`, a BatchSummary.
    #[schema(content_media_type = "application/json")]
    data: String,
    /// For `Last-Event-ID`.
    id: Option<String>,
    /// Milliseconds until a lost connection is opened again.
    retry: Option<u64>,
}

/// What can be followed.
pub trait Followed: Send + 'static {
    type State: Send + 'static;

    /// Changes are told no more often than this; an end is told at once.
    const EVERY: Duration;

    fn id(&self) -> Uuid;

    /// How long it is not looked at again, however often it changes.
    fn rest(_state: &Self::State) -> Duration {
        Duration::ZERO
    }

    /// As it stands now.
    fn look<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, Answer<Self::State>>;

    fn is_over(state: &Self::State) -> bool;

    /// What a caller has heard who has heard of `state`: the id of the event that tells it.
    fn version(&self, state: &Self::State) -> String;

    /// The events that tell `state` to who was told `before` last; the last of them has the version as its id.
    fn tell(&self, before: Option<&Self::State>, state: &Self::State, version: &str) -> Vec<Event>;
}

/// The answer to who wants to follow `what`: a stream, or 204 when its end has been heard.
pub async fn follow<F: Followed>(api: Shared, what: F, headers: &HeaderMap) -> Answer {
    // Subscribed before the first look, so that no change falls between.
    let watch = api.store.watch(what.id());
    let state = what.look(&api).await?;
    let heard = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    if F::is_over(&state) && heard.as_ref() == Some(&what.version(&state)) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let last = Instant::now().checked_sub(F::EVERY).unwrap_or_else(Instant::now);
    let follower = Follower { api, what, watch, heard, last, told: None, state: Some(state), ready: VecDeque::new() };
    let stream = Sse::new(follower.stream()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([("cache-control", "no-cache"), ("x-accel-buffering", "no")], stream).into_response())
}

/// One caller who follows.
struct Follower<F: Followed> {
    api: Shared,
    what: F,
    watch: Watch,
    /// The version that was told last.
    heard: Option<String>,
    last: Instant,
    told: Option<F::State>,
    /// As it was looked at and not told yet; `None` once its end is told.
    state: Option<F::State>,
    /// Events to be sent.
    ready: VecDeque<Event>,
}

impl<F: Followed> Follower<F> {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((Ok(event), follower))
        })
    }

    /// The next event; `None` when the end has been told, or the server is about to stop and the caller should ask
    /// another.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let state = match self.state.take() {
                Some(state) => state,
                None if self.told.as_ref().is_some_and(F::is_over) => return None,
                None => self.look().await?,
            };
            let version = self.what.version(&state);
            if self.heard.as_ref() != Some(&version) {
                let mut events = self.what.tell(self.told.as_ref(), &state, &version);
                events = events.into_iter().map(|event| event.retry(RETRY)).collect();
                self.ready.extend(events);
                (self.heard, self.last) = (Some(version), Instant::now());
            }
            self.told = Some(state);
        }
    }

    /// As it stands after its next change, or when it is time to look again. Changes that come too soon are told as one,
    /// unless they are the end.
    async fn look(&mut self) -> Option<F::State> {
        let ready = self.last + F::EVERY;
        let rest = self.told.as_ref().map(F::rest).unwrap_or_default();
        let mut newest = None;
        loop {
            tokio::select! {
                () = self.watch.changed() => {}
                () = tokio::time::sleep_until(ready), if newest.is_some() => return newest,
                () = tokio::time::sleep(FALLBACK) => {}
                () = self.api.stopping.cancelled() => return None,
            }
            tokio::time::sleep(rest).await;
            // A store that does not answer now is asked again at its next sign of life.
            let Ok(state) = self.what.look(&self.api).await else { continue };
            if F::is_over(&state) || Instant::now() >= ready {
                return Some(state);
            }
            newest = Some(state);
        }
    }
}

/// An event named `name` with `data` as JSON.
pub fn event(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}
