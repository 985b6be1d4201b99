//! The metrics of this process, in the text format of
//! [OpenMetrics](https://prometheus.io/docs/specs/om/open_metrics_spec/), which Prometheus reads.

use prometheus_client::encoding::{EncodeLabelSet, text::encode};
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram};
use prometheus_client::registry::Registry;

use crate::job::Status;
use crate::stats::Stats;

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

/// What the store reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreNumbers {
    /// Its counts.
    pub stats: Stats,
    /// Workers that are there.
    pub workers: u64,
    /// Workers among them that take no jobs.
    pub paused: u64,
}

/// Counters of this process, and gauges with the numbers that the store reported last.
pub struct Metrics {
    registry: Registry,
    settled: Family<StatusLabel, Counter>,
    seconds: Histogram,
    answers: Family<CodeLabel, Counter>,
    webhooks: Family<OutcomeLabel, Counter>,
    queued: Gauge,
    processing: Gauge,
    workers: Gauge,
    paused: Gauge,
    units: Gauge,
}

/// The upper bounds of the histogram of job durations, in seconds.
const DURATION_BOUNDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];

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
        Self { registry, settled, seconds, answers, webhooks, queued, processing, workers, paused, units }
    }
}

impl Metrics {
    /// Counts an attempt that ended after `seconds`, measured from the claim, and left the job in the state `status`.
    pub fn settled(&self, status: Status, seconds: f64) {
        self.settled.get_or_create(&StatusLabel { status: status.as_str() }).inc();
        self.seconds.observe(seconds);
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
        if let Some(StoreNumbers { stats, workers, paused }) = store {
            let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            set(&self.queued, stats.queued);
            set(&self.processing, stats.processing);
            set(&self.units, stats.requests_today);
            set(&self.workers, workers);
            set(&self.paused, paused);
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
        let text =
            metrics.text(Some(StoreNumbers { stats: Stats { queued: 7, ..Stats::default() }, workers: 2, paused: 1 }));
        for line in [
            "remaster_jobs_settled_total{status=\"succeeded\"} 2",
            "remaster_job_seconds_bucket{le=\"0.5\"} 1",
            "remaster_http_answers_total{code=\"202\"} 1",
            "remaster_queue_depth 7",
            "remaster_workers 2",
            "remaster_workers_paused 1",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
