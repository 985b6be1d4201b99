//! Server-Sent Events of a job or a batch.
//!
//! A stream is driven by the store's notifications, so it does not matter which node took the job, which one works on it and
//! which one is asked. Each change costs about one read of the store, however many follow.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, future::BoxFuture, stream};
use remaster_shared::job::UrlBase;
use remaster_store::Watch;
use tokio::time::Instant;
use uuid::Uuid;

use super::snapshot::Snapshot;
use crate::lookup::long_poll::FALLBACK_INTERVAL;
use crate::parse::client::Client;
use crate::parse::turns::Turn;
use crate::problem::ApiResult;
use crate::state::{Api, Shared};

/// A comment is sent at this interval, so that proxies do not close a connection that is silent.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// After this time a client that lost the connection opens it again.
const RETRY: Duration = Duration::from_secs(2);

/// One Server-Sent Event.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "only its documentation is used")]
pub struct ServerSentEvent {
    /// What `data` is. The events of a job are `job`; those of a batch are `batch`, `job` and `progress`.
    event: String,
    /// JSON: a JobView, a BatchView or, in an event `progress`, a BatchSummary.
    #[schema(content_media_type = "application/json")]
    data: String,
    /// The value for the `Last-Event-ID` header of a client that opens the connection again.
    id: Option<String>,
    /// Milliseconds after which a client that lost the connection opens it again.
    retry: Option<u64>,
}

/// The request header in the OpenAPI document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its documentation is used")]
pub struct LastEventIdHeader {
    /// The id of the last event that the client received.
    #[param(rename = "Last-Event-ID")]
    id: Option<String>,
}

/// A job or a batch whose changes are sent as events.
pub trait Followed: Send + 'static {
    /// What is read from the store.
    type Record: Send + Sync + 'static;

    /// The shortest time between two changes that are sent. The end is sent at once.
    const MIN_INTERVAL: Duration;

    /// The id that the store notifies of.
    fn id(&self) -> Uuid;

    /// What links start with.
    fn base(&self) -> &UrlBase;

    /// The pause between a notification and the next read.
    fn read_pause(_record: &Self::Record) -> Duration {
        Duration::ZERO
    }

    /// Reads the record from the store, together with whoever else reads it now.
    fn read<'a>(&'a self, api: &'a Api) -> BoxFuture<'a, ApiResult<Arc<Snapshot<Self::Record>>>>;

    /// Whether the record does not change any more.
    fn has_ended(record: &Self::Record) -> bool;

    /// The version of a record, which is the id of the event that completes it.
    fn version(&self, record: &Self::Record) -> String;

    /// The events that bring a client from the record `before`, if it was sent one, to `record`. The last event has `version` as
    /// its id.
    fn events(&self, before: Option<&Self::Record>, record: &Self::Record, version: &str) -> Vec<Event>;
}

/// The answer to a client that follows `followed`: a stream of events, or 204 when the client has received the last one.
///
/// # Errors
/// 404 `not_found`, or 503 when the store does not answer or the client follows too many.
pub async fn follow<F: Followed>(api: Shared, client: Client, followed: F, headers: &HeaderMap) -> ApiResult {
    // The subscription comes before the first read, so that no change is missed between the two.
    let watch = api.store.watch(followed.id());
    let state = followed.read(&api).await?;
    let sent_version = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let version = state.version(followed.base(), |record| followed.version(record));
    if F::has_ended(&state.record) && sent_version == Some(version) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let turn = api.follows.take(client.key).await?;
    let sent_at = Instant::now().checked_sub(F::MIN_INTERVAL).unwrap_or_else(Instant::now);
    let follower = Follower {
        _turn: turn,
        api,
        followed,
        watch,
        sent_version,
        sent_at,
        sent_state: None,
        next_state: Some(state),
        ready: VecDeque::new(),
    };
    let stream = Sse::new(follower.stream()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    Ok(([("cache-control", "no-cache"), ("x-accel-buffering", "no")], stream).into_response())
}

/// An event with `data` as JSON.
pub fn event(name: &str, data: &impl serde::Serialize) -> Event {
    Event::default().event(name).data(serde_json::to_string(data).unwrap_or_default())
}

/// One client that follows.
struct Follower<F: Followed> {
    _turn: Turn,
    api: Shared,
    followed: F,
    watch: Watch,
    /// The version that the client has, which it may have received on an earlier connection.
    sent_version: Option<String>,
    /// When the last change was sent.
    sent_at: Instant,
    /// The last state that was sent on this connection.
    sent_state: Option<Arc<Snapshot<F::Record>>>,
    /// A state that was read and not sent yet.
    next_state: Option<Arc<Snapshot<F::Record>>>,
    /// Events that are ready to be sent.
    ready: VecDeque<Event>,
}

impl<F: Followed> Follower<F> {
    fn stream(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut follower| async move {
            let event = follower.next().await?;
            Some((Ok(event), follower))
        })
    }

    /// The next event. `None` after the end was sent, and when the server is about to stop; the client then opens the
    /// connection again, which leads it to another node.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let state = match self.next_state.take() {
                Some(state) => state,
                None if self.sent_state.as_ref().is_some_and(|state| F::has_ended(&state.record)) => return None,
                None => self.read_next().await?,
            };
            let (followed, base) = (&self.followed, self.followed.base());
            let version = state.version(base, |record| followed.version(record));
            if self.sent_version.as_ref() != Some(&version) {
                let sent = self.sent_state.as_ref().map(|sent| &sent.record);
                let before = sent.and(self.sent_version.as_deref());
                let events = state.events(base, before, |record| followed.events(sent, record, &version));
                self.ready.extend(events.into_iter().map(|event| event.retry(RETRY)));
                (self.sent_version, self.sent_at) = (Some(version), Instant::now());
            }
            self.sent_state = Some(state);
        }
    }

    /// Reads the state after its next change, or after [`FALLBACK_INTERVAL`]. Changes within [`Followed::MIN_INTERVAL`] of the
    /// last one that was sent are combined, unless the last of them is the end.
    async fn read_next(&mut self) -> Option<Arc<Snapshot<F::Record>>> {
        let due = self.sent_at + F::MIN_INTERVAL;
        let read_pause = self.sent_state.as_ref().map(|state| F::read_pause(&state.record)).unwrap_or_default();
        let mut newest = None;
        loop {
            tokio::select! {
                () = self.watch.changed() => {}
                () = tokio::time::sleep_until(due), if newest.is_some() => return newest,
                () = tokio::time::sleep(FALLBACK_INTERVAL) => {}
                () = self.api.stopping.cancelled() => return None,
            }
            tokio::time::sleep(read_pause).await;
            // If the store does not answer, the next notification or the fallback interval leads to another attempt.
            let Ok(state) = self.followed.read(&self.api).await else { continue };
            if F::has_ended(&state.record) || Instant::now() >= due {
                return Some(state);
            }
            newest = Some(state);
        }
    }
}
