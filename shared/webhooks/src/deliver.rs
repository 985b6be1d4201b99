//! Empties the outbox: what is due is tried, a bounded number at once and to each host, and what came of it is kept.

use std::{collections::BTreeMap, sync::Arc, time::Duration, time::SystemTime};

use jiff::Timestamp;
use remaster_shared::job::{BatchRecord, JobRecord, Status, UrlBase};
use remaster_shared::metrics::Metrics;
use remaster_shared::webhook::{Attempt, Attempted, DueHook, Next, Subject};
use remaster_store::{HookRoom, Outbox, StoreError};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::egress::{Egress, refusal};
use super::event::{Event, EventType};
use super::schedule::{Answer, Jitter, next, retry_after};
use super::sign::{Message, Signer, headers};

#[cfg(test)]
mod tests;

/// Attempts under way at once.
const AT_ONCE: usize = 256;
/// And of these to one host: a site that is slow, or down, must not take the others' places.
const PER_HOST: usize = 4;
/// Longest wait before the outbox is looked at again: covers a wake-up that was lost.
const FALLBACK: Duration = Duration::from_secs(5);
/// What attempts under way have at shutdown; those that take longer are made again.
const GRACE: Duration = Duration::from_secs(4);

#[derive(Clone)]
pub struct Deliverer {
    store: Arc<dyn Outbox>,
    egress: Egress,
    signer: Arc<Signer>,
    metrics: Arc<Metrics>,
}

impl Deliverer {
    pub fn new(store: Arc<dyn Outbox>, egress: Egress, signer: Signer, metrics: Arc<Metrics>) -> Self {
        Self { store, egress, signer: Arc::new(signer), metrics }
    }

    /// Runs until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        // Of each, the host.
        let mut attempts = JoinSet::new();
        let mut under_way = BTreeMap::<String, usize>::new();
        let mut failing = false;
        while !stop.is_cancelled() {
            let room = HookRoom {
                total: AT_ONCE.saturating_sub(attempts.len()),
                per_host: PER_HOST,
                under_way: under_way.clone(),
            };
            let wait = match self.store.due_hooks(room).await {
                Ok(found) => {
                    failing = false;
                    let none = found.due.is_empty();
                    for hook in found.due {
                        let (deliverer, host) = (self.clone(), hook.target.host().to_owned());
                        *under_way.entry(host.clone()).or_default() += 1;
                        attempts.spawn(async move {
                            deliverer.attempt(hook).await;
                            host
                        });
                    }
                    // Until there is no more to be had, or no more room.
                    if !none {
                        continue;
                    }
                    found.next.unwrap_or(FALLBACK).min(FALLBACK)
                }
                Err(error) => {
                    if !failing {
                        tracing::error!(%error, "the outbox of webhooks cannot be read; trying on");
                    }
                    failing = true;
                    FALLBACK
                }
            };
            tokio::select! {
                Some(done) = attempts.join_next() => {
                    for host in std::iter::once(done).chain(std::iter::from_fn(|| attempts.try_join_next())) {
                        release(&mut under_way, host.unwrap_or_default());
                    }
                    // An attempt that panicked does not say to whom it went; once none is left, none is.
                    under_way.retain(|_, count| *count > 0 && !attempts.is_empty());
                }
                () = self.store.wait_for_hooks(wait) => {}
                () = stop.cancelled() => {}
            }
        }
        let _ = tokio::time::timeout(GRACE, async { while attempts.join_next().await.is_some() {} }).await;
    }

    /// Makes one attempt and records it. What cannot be recorded is made again once the holder's time is over.
    pub async fn attempt(&self, hook: DueHook) {
        let attempted = match self.tried(hook).await {
            Ok(attempted) => attempted,
            Err(error) => {
                tracing::warn!(%error, "a webhook cannot be made up now");
                return;
            }
        };
        let (subject, attempt, next) = (attempted.subject, &attempted.attempt, attempted.next);
        let outcome = match next {
            Next::Delivered => "delivered",
            Next::Retry(_) => "retry",
            Next::GiveUp => "given_up",
        };
        self.metrics.webhook(outcome);
        tracing::info!(?subject, status = attempt.status, error = attempt.error, outcome, "webhook tried");
        if let Err(error) = self.store.hook_attempted(attempted).await {
            tracing::warn!(%error, "what came of a webhook cannot be kept; it will be sent again");
        }
    }

    async fn tried(&self, hook: DueHook) -> Result<Attempted, StoreError> {
        let DueHook { subject, target, attempts, body } = hook;
        let body = match body {
            Some(body) => body,
            None => match self.body(subject, &target.base).await? {
                Some(body) => body,
                None => return Ok(nothing_to_tell(subject, attempts, self.store.now())),
            },
        };
        let message = Message {
            id: &format!("msg_{}", subject.id()),
            timestamp: self.store.now().as_second(),
            body: body.as_bytes(),
        };
        let signed = headers(&self.signer, target.secret.as_ref(), &message);
        let at = self.store.now();
        let (answer, error) = self.send(&target.url, signed, &body).await;
        let status = match answer {
            Answer::Status { code, .. } => Some(code),
            Answer::None => None,
        };
        let next = next(attempts + 1, &answer, Jitter::random());
        Ok(Attempted { subject, attempts, attempt: Attempt { at, status, error }, body, next })
    }

    /// Always ends: the client has a time-out of its own.
    async fn send(&self, url: &url::Url, signed: [(&'static str, String); 3], body: &str) -> (Answer, Option<String>) {
        let mut request = match self.egress.post(url.as_str()) {
            Ok(request) => request.header("content-type", "application/json").body(body.to_owned()),
            Err(error) => return (Answer::None, Some(error.to_string())),
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
                (Answer::Status { code, retry_after }, error)
            }
            Err(error) => (Answer::None, Some(reason(&error).to_owned())),
        }
    }

    /// The event as it is told, from now on with these bytes; `None` of what is not there or has not ended.
    async fn body(&self, subject: Subject, base: &UrlBase) -> Result<Option<String>, StoreError> {
        let body = match subject {
            Subject::Job(id) => {
                let Some(job) = self.store.get(id).await? else { return Ok(None) };
                let Some(timestamp) = job.finished_at else { return Ok(None) };
                let data = JobRecord { webhook: None, ..job };
                Event { kind: kind(data.status), timestamp, data: data.view(base) }.body()
            }
            Subject::Batch(id) => {
                let Some(batch) = self.store.batch(id).await? else { return Ok(None) };
                let Some(timestamp) = batch.finished_at() else { return Ok(None) };
                let data = BatchRecord { webhook: None, ..batch };
                Event { kind: EventType::BatchCompleted, timestamp, data: data.view(base) }.body()
            }
        };
        body.map(Some).map_err(StoreError::caused_by)
    }
}

/// A store forgets nothing of which somebody is to be told: this should not be, and must not come again for ever.
fn nothing_to_tell(subject: Subject, attempts: u32, at: Timestamp) -> Attempted {
    let attempt = Attempt { at, status: None, error: Some("there is nothing to tell any more".into()) };
    Attempted { subject, attempts, attempt, body: String::new(), next: Next::GiveUp }
}

fn system_time(at: Timestamp) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(at.as_second()).unwrap_or(0))
}

fn release(under_way: &mut BTreeMap<String, usize>, host: String) {
    if let Some(count) = under_way.get_mut(&host) {
        *count = count.saturating_sub(1);
    }
}

/// A job that succeeded and has expired since did succeed.
fn kind(status: Status) -> EventType {
    match status {
        Status::Failed => EventType::JobFailed,
        Status::Canceled => EventType::JobCanceled,
        _ => EventType::JobSucceeded,
    }
}

/// Why there was no answer. The same for names that lead nowhere and names that lead where nothing may be sent: what this
/// network's names resolve to is nobody's business.
fn reason(error: &reqwest::Error) -> &'static str {
    if refusal(error).is_some() {
        "the host's name does not resolve, or not to public addresses only"
    } else if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection could be made"
    } else {
        "the connection broke off before there was an answer"
    }
}
