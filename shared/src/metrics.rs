//! The metrics of this process, in the text format of
//! [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/), which Prometheus reads.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::Registry;

use crate::job::Status;
use crate::stats::{QueueGauges, Stats};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StatusLabel {
    status: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabel {
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    outcome: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerbLabel {
    verb: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

/// What the store reported.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreNumbers {
    /// Its counts.
    pub stats: Stats,
    /// What else operators watch.
    pub queue: QueueGauges,
    /// How long ago the oldest job of the client that waits the longest was submitted.
    pub oldest: Duration,
    /// Workers that are there.
    pub workers: u64,
    /// Workers among them that take no jobs.
    pub paused: u64,
}

/// Counters of this process, and gauges with the numbers that the store reported last.
pub struct Metrics {
    registry: Registry,
    settled: Family<StatusLabel, Counter>,
    attempts: Family<AttemptLabels, Counter>,
    seconds: Histogram,
    waited: Histogram,
    store_seconds: Family<VerbLabel, Histogram>,
    store_errors: Family<VerbLabel, Counter>,
    answers: Family<CodeLabel, Counter>,
    webhooks: Family<OutcomeLabel, Counter>,
    queued: Gauge,
    processing: Gauge,
    workers: Gauge,
    paused: Gauge,
    units: Gauge,
    oldest: Gauge,
    by_model: Family<ModelLabel, Gauge>,
    garbage: Gauge,
    webhooks_due: Gauge,
    reclaimed: Counter,
    poisoned: Counter,
}

/// The upper bounds of the histogram of job durations, in seconds.
const DURATION_BOUNDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];

/// The upper bounds of the histogram of waits in the queue, in seconds.
const WAIT_BOUNDS: [f64; 12] = [0.01, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];
/// The upper bounds of the histogram of calls of the store, in seconds.
const STORE_BOUNDS: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1.0, 2.5];

/// One call of the store, until it is answered. A call that is dropped without an answer counts as failed.
pub struct StoreCall<'a> {
    metrics: &'a Metrics,
    verb: &'static str,
    began: Instant,
    answered: bool,
}

impl StoreCall<'_> {
    /// The store has answered.
    pub fn answered(mut self) {
        self.answered = true;
    }
}

impl Drop for StoreCall<'_> {
    fn drop(&mut self) {
        let label = VerbLabel { verb: self.verb };
        if self.answered {
            self.metrics.store_seconds.get_or_create(&label).observe(self.began.elapsed().as_secs_f64());
        } else {
            self.metrics.store_errors.get_or_create(&label).inc();
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("remaster");
        let (settled, answers, webhooks) = (Family::default(), Family::default(), Family::default());
        let seconds = Histogram::new(DURATION_BOUNDS);
        let (queued, processing) = (Gauge::default(), Gauge::default());
        let (workers, paused, units) = (Gauge::default(), Gauge::default(), Gauge::default());
        registry.register(
            "jobs_settled",
            "Attempts that ended on this node, by the status of the job after the attempt",
            settled.clone(),
        );
        registry.register(
            "job_seconds",
            "Time from the claim of a job to the end of the attempt, in seconds",
            seconds.clone(),
        );
        registry.register("http_answers", "HTTP responses of this node, by status code", answers.clone());
        registry.register(
            "webhook_attempts",
            "Attempts of this node to deliver webhooks, by outcome",
            webhooks.clone(),
        );
        registry.register("queue_depth", "Queued jobs over all nodes", queued.clone());
        registry.register("jobs_processing", "Jobs in processing over all nodes", processing.clone());
        registry.register("workers", "Workers that have announced themselves recently", workers.clone());
        registry.register(
            "workers_paused",
            "Workers among them that take no jobs, after a fault of their own",
            paused.clone(),
        );
        registry.register("units_today", "Images charged since midnight UTC", units.clone());
        let (attempts, waited) = (Family::default(), Histogram::new(WAIT_BOUNDS));
        registry.register(
            "attempts",
            "Attempts of this node by outcome (succeeded, failed, canceled, retried, deferred, given_back, lost) and error code",
            attempts.clone(),
        );
        registry.register(
            "job_wait_seconds",
            "Time from the submission of a job to its first claim, in seconds, of jobs that this node claimed",
            waited.clone(),
        );
        let store_seconds = Family::new_with_constructor((|| Histogram::new(STORE_BOUNDS)) as fn() -> Histogram);
        let store_errors = Family::default();
        registry.register(
            "store_call_seconds",
            "Time of a call of the job store by this node, by verb",
            store_seconds.clone(),
        );
        registry.register(
            "store_errors",
            "Calls of the job store that were not answered, by verb",
            store_errors.clone(),
        );
        let (oldest, by_model, garbage) = (Gauge::default(), Family::default(), Gauge::default());
        let (webhooks_due, reclaimed, poisoned) = (Gauge::default(), Counter::default(), Counter::default());
        registry.register(
            "queue_oldest_seconds",
            "How long the oldest job of the client has waited that waits the longest, in seconds",
            oldest.clone(),
        );
        registry.register(
            "model_queue_depth",
            "Queued jobs over all nodes by the upscaler that they need; those that need none have an empty name",
            by_model.clone(),
        );
        registry.register("garbage_blobs", "Blobs over all nodes that are to be deleted now", garbage.clone());
        registry.register("webhooks_due", "Webhooks over all nodes that are to be sent now", webhooks_due.clone());
        registry.register(
            "jobs_reclaimed",
            "Jobs over all nodes that were queued again because their worker was not heard of",
            reclaimed.clone(),
        );
        registry.register(
            "jobs_poisoned",
            "Jobs over all nodes that failed because every attempt ended with the worker gone",
            poisoned.clone(),
        );
        Self {
            registry,
            settled,
            attempts,
            seconds,
            waited,
            store_seconds,
            store_errors,
            answers,
            webhooks,
            queued,
            processing,
            workers,
            paused,
            units,
            oldest,
            by_model,
            garbage,
            webhooks_due,
            reclaimed,
            poisoned,
        }
    }
}

impl Metrics {
    /// Counts an attempt that ended after `seconds`, measured from the claim, and left the job in the state `status`.
    pub fn settled(&self, status: Status, seconds: f64) {
        self.settled.get_or_create(&StatusLabel { status: status.as_str() }).inc();
        self.seconds.observe(seconds);
    }

    /// Counts an attempt by its outcome (see the metric's description) and the code of its error, or an empty one.
    pub fn attempted(&self, outcome: &'static str, code: &'static str) {
        self.attempts.get_or_create(&AttemptLabels { outcome, code }).inc();
    }

    /// A job was claimed for the first time after it had waited for `seconds`.
    pub fn waited(&self, seconds: f64) {
        self.waited.observe(seconds);
    }

    /// A call of the store begins.
    pub fn store_call(&self, verb: &'static str) -> StoreCall<'_> {
        StoreCall { metrics: self, verb, began: Instant::now(), answered: false }
    }

    /// Counts an attempt to deliver a webhook by its outcome: `delivered`, `retry` or `given_up`.
    pub fn webhook(&self, outcome: &'static str) {
        self.webhooks.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts an HTTP response by its status code.
    pub fn answered(&self, code: u16) {
        self.answers.get_or_create(&CodeLabel { code }).inc();
    }

    /// Renders every metric. `store` holds what the store reported, with the workers that are there; without it the gauges
    /// keep their last values.
    pub fn text(&self, store: Option<StoreNumbers>) -> String {
        if let Some(StoreNumbers { stats, queue, oldest, workers, paused }) = store {
            let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            set(&self.queued, stats.queued);
            set(&self.processing, stats.processing);
            set(&self.units, stats.requests_today);
            set(&self.workers, workers);
            set(&self.paused, paused);
            set(&self.oldest, oldest.as_secs());
            set(&self.garbage, queue.garbage);
            set(&self.webhooks_due, queue.webhooks);
            self.by_model.clear();
            for (model, jobs) in queue.queued_by_model {
                set(&self.by_model.get_or_create(&ModelLabel { model }), jobs);
            }
            self.reclaimed.inner().store(queue.reclaimed, Ordering::Relaxed);
            self.poisoned.inner().store(queue.poisoned, Ordering::Relaxed);
        }
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_rendered_with_their_names_and_labels() {
        let metrics = Metrics::default();
        metrics.settled(Status::Succeeded, 0.3);
        metrics.settled(Status::Succeeded, 70.0);
        metrics.answered(202);
        metrics.attempted("failed", "image_corrupt");
        metrics.waited(3.0);
        metrics.store_call("claim").answered();
        drop(metrics.store_call("claim"));
        let text = metrics.text(Some(StoreNumbers {
            stats: Stats { queued: 7, ..Stats::default() },
            queue: QueueGauges {
                queued_by_model: [("realesrgan-x4plus".to_owned(), 6)].into(),
                reclaimed: 3,
                ..QueueGauges::default()
            },
            oldest: Duration::from_secs(90),
            workers: 2,
            paused: 1,
        }));
        for line in [
            "remaster_jobs_settled_total{status=\"succeeded\"} 2",
            "remaster_job_seconds_bucket{le=\"0.5\"} 1",
            "remaster_http_answers_total{code=\"202\"} 1",
            "remaster_queue_depth 7",
            "remaster_workers 2",
            "remaster_workers_paused 1",
            "remaster_attempts_total{outcome=\"failed\",code=\"image_corrupt\"} 1",
            "remaster_job_wait_seconds_bucket{le=\"5.0\"} 1",
            "remaster_store_call_seconds_count{verb=\"claim\"} 1",
            "remaster_store_errors_total{verb=\"claim\"} 1",
            "remaster_model_queue_depth{model=\"realesrgan-x4plus\"} 6",
            "remaster_queue_oldest_seconds 90",
            "remaster_jobs_reclaimed_total 3",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
