//! Empties the outbox of a store: attempts every delivery that is due, and records the outcome. The number of attempts in
//! flight is limited: over all hosts, for each of them, for each network, and for each client.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;
use remaster_shared::client::ClientKey;
use remaster_shared::job::{BatchRecord, JobRecord, Status};
use remaster_shared::metrics::Metrics;
use remaster_shared::trace::JobSpan;
use remaster_shared::webhook::{Attempt, Attempted, DueHook, Next, Subject};
use remaster_store::{HookRoom, Outbox, StoreError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::egress::{Egress, UNRESOLVED, refusal};
use super::event::{Event, EventType};
use super::schedule::{Jitter, Outcome, next, retry_after};
use super::sign::{Message, Signer, headers};
use breakers::Breakers;
use places::Places;

mod breakers;
mod places;
#[cfg(test)]
mod tests;

/// The largest number of attempts in flight.
const MAX_IN_FLIGHT: usize = 256;
/// The largest number of attempts in flight to one host, so that a host that is slow or down does not occupy the places of
/// the others.
const MAX_IN_FLIGHT_PER_HOST: usize = 4;
/// The most jobs of a batch that its webhook tells of. That of a larger batch has only the counts, and the link to the batch.
const MAX_JOBS_TOLD: usize = 100;
/// The longest time between two looks at the outbox. It covers a notification that was lost.
const POLL_INTERVAL: Duration = Duration::from_secs(5);
/// How long attempts in flight may take at shutdown. An attempt that takes longer is repeated after the next start.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(4);

/// Delivers the webhooks of one store. Several nodes may run one each for the same store.
#[derive(Clone)]
pub struct Deliverer {
    store: Arc<dyn Outbox>,
    egress: Egress,
    signer: Arc<Signer>,
    metrics: Arc<Metrics>,
    places: Places,
    breakers: Breakers,
}

impl Deliverer {
    /// A deliverer for the outbox of `store`, which sends through `egress` and signs with `signer`.
    pub fn new(store: Arc<dyn Outbox>, egress: Egress, signer: Signer, metrics: Arc<Metrics>) -> Self {
        Self {
            store,
            egress,
            signer: Arc::new(signer),
            metrics,
            places: Places::default(),
            breakers: Breakers::default(),
        }
    }

    /// Runs until `stop` is canceled, and then for at most the shutdown grace.
    pub async fn run(self, stop: CancellationToken) {
        // Each task returns the host that it sent to.
        let mut attempts = JoinSet::new();
        let mut in_flight = BTreeMap::<String, usize>::new();
        let mut failing = false;
        while !stop.is_cancelled() {
            let room = HookRoom {
                total: MAX_IN_FLIGHT.saturating_sub(attempts.len()),
                per_host: MAX_IN_FLIGHT_PER_HOST,
                under_way: in_flight.clone(),
            };
            let wait = match self.store.due_hooks(room).await {
                Ok(found) => {
                    failing = false;
                    let none = found.due.is_empty();
                    for hook in found.due {
                        let (deliverer, host) = (self.clone(), hook.target.host().to_owned());
                        *in_flight.entry(host.clone()).or_default() += 1;
                        attempts.spawn(async move {
                            deliverer.attempt(hook).await;
                            host
                        });
                    }
                    // Ask again until nothing more is due or every place is taken.
                    if !none {
                        continue;
                    }
                    found.next.unwrap_or(POLL_INTERVAL).min(POLL_INTERVAL)
                }
                Err(error) => {
                    if !failing {
                        tracing::error!(%error, "the outbox of webhooks cannot be read; it will be tried again");
                    }
                    failing = true;
                    POLL_INTERVAL
                }
            };
            tokio::select! {
                Some(done) = attempts.join_next() => {
                    for host in std::iter::once(done).chain(std::iter::from_fn(|| attempts.try_join_next())) {
                        release(&mut in_flight, host.unwrap_or_default());
                    }
                    // A task that panicked does not return its host. Its count is corrected once no attempt is in flight.
                    in_flight.retain(|_, count| *count > 0 && !attempts.is_empty());
                }
                () = self.store.wait_for_hooks(wait) => {}
                () = stop.cancelled() => {}
            }
        }
        let _ = tokio::time::timeout(SHUTDOWN_GRACE, async { while attempts.join_next().await.is_some() {} }).await;
    }

    /// Makes one attempt and records its outcome. If the outcome cannot be recorded, the store hands the delivery out again
    /// after a while, and the attempt is repeated.
    ///
    /// Nothing is sent to a receiver that has not answered for some time, which counts as an attempt without an answer. Nothing happens where too
    /// many attempts of the client or to the receiver's network are in flight: the store hands the delivery out again then, too.
    pub async fn attempt(&self, hook: DueHook) {
        let began = Instant::now();
        let told = match self.told(&hook).await {
            Ok(Some(told)) => told,
            Ok(None) => {
                let gone = not_sent(&hook, self.store.now(), "there is nothing to tell any more");
                // Stores keep records until their webhooks have ended, so this should not happen; if it does, the delivery must not come
                // back again and again.
                return self.record(Attempted { next: Next::GiveUp, ..gone }, began).await;
            }
            Err(error) => {
                tracing::warn!(%error, "the body of a webhook cannot be made now; it will be tried again");
                return;
            }
        };
        // The addresses are resolved again, and checked, when the connection is made.
        let addresses = self.egress.addresses(&hook.target.url).await;
        let Some(_place) = self.places.take(&addresses, told.client) else {
            tracing::debug!(subject = ?hook.subject, "a webhook waits: too many of its client or to its network are in flight");
            return;
        };
        let receiver = hook.target.url.origin().ascii_serialization();
        if !self.breakers.permits(&receiver, self.store.now()) {
            let resting = not_sent(&hook, self.store.now(), "the receiver does not answer, and was not tried again");
            return self.record(resting, began).await;
        }
        let attempted = self.send_webhook(hook, told.body).await;
        self.breakers.record(&receiver, attempted.attempt.status.is_some(), self.store.now());
        self.record(attempted, began).await;
    }

    async fn record(&self, attempted: Attempted, began: Instant) {
        let (subject, attempt, next) = (attempted.subject, &attempted.attempt, attempted.next);
        let outcome = match next {
            Next::Delivered => "delivered",
            Next::Retry(_) => "retry",
            Next::GiveUp => "given_up",
        };
        self.metrics.webhook(outcome);
        if let Subject::Job(job) = subject {
            self.metrics.span(|| {
                let span = JobSpan::ending(job, "webhook", began.elapsed()).with("remaster.outcome", outcome);
                let status = attempt.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
                span.with("http.response.status_code", status).failed(attempt.error.as_ref())
            });
        }
        tracing::info!(
            ?subject,
            status = attempt.status,
            error = attempt.error,
            outcome,
            "attempted to deliver a webhook"
        );
        if let Err(error) = self.store.hook_attempted(attempted).await {
            tracing::warn!(%error, "the outcome of a webhook cannot be recorded; it will be sent again");
        }
    }

    async fn send_webhook(&self, hook: DueHook, body: String) -> Attempted {
        let DueHook { subject, target, attempts, .. } = hook;
        let message = Message {
            id: &format!("msg_{}", subject.id()),
            timestamp: self.store.now().as_second(),
            body: body.as_bytes(),
        };
        let signed = headers(&self.signer, target.secret.as_ref(), &message);
        let at = self.store.now();
        let (outcome, error) = self.post(&target.url, signed, &body).await;
        let status = match outcome {
            Outcome::Response { code, .. } => Some(code),
            Outcome::NoResponse => None,
        };
        let next = next(attempts + 1, &outcome, Jitter::random());
        Attempted { subject, attempts, attempt: Attempt { at, status, error }, body: Some(body), next }
    }

    /// Posts `body`, and returns the outcome with the error that the submitter is shown. The timeout of the client bounds it.
    async fn post(&self, url: &url::Url, signed: [(&'static str, String); 3], body: &str) -> (Outcome, Option<String>) {
        let mut request = match self.egress.post(url.as_str()) {
            Ok(request) => request.header("content-type", "application/json").body(body.to_owned()),
            Err(error) => return (Outcome::NoResponse, Some(error.to_string())),
        };
        for (name, value) in signed {
            request = request.header(name, value);
        }
        match request.send().await {
            Ok(response) => {
                let code = response.status().as_u16();
                let asked = response.headers().get("retry-after").and_then(|value| value.to_str().ok());
                let retry_after = asked.and_then(|value| retry_after(value, system_time(self.store.now())));
                let error = match code {
                    200..=299 => None,
                    300..=399 => Some("redirects are not followed".to_owned()),
                    410 => Some("the receiver wants no more".to_owned()),
                    _ => Some("the receiver refused it".to_owned()),
                };
                (Outcome::Response { code, retry_after }, error)
            }
            Err(error) => (Outcome::NoResponse, Some(reason(&error).to_owned())),
        }
    }

    /// What is told; `None` if the job or batch is gone or has not ended. Every attempt sends the same bytes.
    async fn told(&self, hook: &DueHook) -> Result<Option<Told>, StoreError> {
        if let Some(body) = hook.body.clone() {
            return Ok(Some(Told { client: None, body }));
        }
        let base = &hook.target.base;
        let (client, body) = match hook.subject {
            Subject::Job(id) => {
                let Some(job) = self.store.get(id).await? else { return Ok(None) };
                let Some(timestamp) = job.finished_at else { return Ok(None) };
                let data = JobRecord { webhook: None, ..job };
                (data.client, Event { kind: kind(data.status), timestamp, data: data.view(base) }.body())
            }
            Subject::Batch(id) => {
                let Some(batch) = self.store.batch(id).await? else { return Ok(None) };
                let Some(timestamp) = batch.finished_at() else { return Ok(None) };
                let mut data = BatchRecord { webhook: None, ..batch }.view(base);
                if data.jobs.len() > MAX_JOBS_TOLD {
                    data.jobs.clear();
                }
                (batch.client, Event { kind: EventType::BatchCompleted, timestamp, data }.body())
            }
        };
        Ok(Some(Told { client: Some(client), body: body.map_err(StoreError::caused_by)? }))
    }
}

/// What a webhook tells.
struct Told {
    /// Whose job or batch it is, where that was read to make the body: retries are spread over days.
    client: Option<ClientKey>,
    body: String,
}

/// An attempt in which nothing was sent.
fn not_sent(hook: &DueHook, at: Timestamp, why: &str) -> Attempted {
    let attempt = Attempt { at, status: None, error: Some(why.to_owned()) };
    let next = next(hook.attempts + 1, &Outcome::NoResponse, Jitter::random());
    Attempted { subject: hook.subject, attempts: hook.attempts, attempt, body: None, next }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}

fn release(in_flight: &mut BTreeMap<String, usize>, host: String) {
    if let Some(count) = in_flight.get_mut(&host) {
        *count = count.saturating_sub(1);
    }
}

/// The event for a job that has ended. A job whose result has expired since then had succeeded.
fn kind(status: Status) -> EventType {
    match status {
        Status::Failed => EventType::JobFailed,
        Status::Canceled => EventType::JobCanceled,
        _ => EventType::JobSucceeded,
    }
}

/// Why there was no response, in words for the submitter.
fn reason(error: &reqwest::Error) -> &'static str {
    if refusal(error).is_some() {
        UNRESOLVED
    } else if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection broke off before there was an answer"
    }
}
