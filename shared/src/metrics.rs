//! What the process counts, in the text format of Prometheus.

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

/// Counters of this process, and gauges of the store as it was last asked.
pub struct Metrics {
    registry: Registry,
    settled: Family<StatusLabel, Counter>,
    seconds: Histogram,
    answers: Family<CodeLabel, Counter>,
    webhooks: Family<OutcomeLabel, Counter>,
    queued: Gauge,
    processing: Gauge,
    workers: Gauge,
    units: Gauge,
}

/// Upper bounds of a job's duration, in seconds.
const SECONDS: [f64; 12] = [0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0];

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("remaster");
        let (settled, answers, webhooks) = (Family::default(), Family::default(), Family::default());
        let seconds = Histogram::new(SECONDS);
        let (queued, processing) = (Gauge::default(), Gauge::default());
        let (workers, units) = (Gauge::default(), Gauge::default());
        registry.register("jobs_settled", "Attempts that ended here, by what became of the job", settled.clone());
        registry.register("job_seconds", "From claim to settlement, in seconds", seconds.clone());
        registry.register("http_answers", "Requests answered here, by status", answers.clone());
        registry.register("webhook_attempts", "Webhooks tried here, by how it went", webhooks.clone());
        registry.register("queue_depth", "Jobs waiting, over all nodes", queued.clone());
        registry.register("jobs_processing", "Jobs being worked on, over all nodes", processing.clone());
        registry.register("workers", "Workers that are there", workers.clone());
        registry.register("units_today", "Images charged since midnight UTC", units.clone());
        Self { registry, settled, seconds, answers, webhooks, queued, processing, workers, units }
    }
}

impl Metrics {
    /// An attempt ended after `seconds`; the job is now `status`.
    pub fn settled(&self, status: Status, seconds: f64) {
        self.settled.get_or_create(&StatusLabel { status: status.as_str() }).inc();
        self.seconds.observe(seconds);
    }

    /// A webhook was tried: `delivered`, `retry` or `given_up`.
    pub fn webhook(&self, outcome: &'static str) {
        self.webhooks.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub fn answered(&self, code: u16) {
        self.answers.get_or_create(&CodeLabel { code }).inc();
    }

    /// Everything, with the store's numbers where it gave any.
    pub fn text(&self, store: Option<(Stats, usize)>) -> String {
        if let Some((stats, workers)) = store {
            let set = |gauge: &Gauge, value: u64| gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
            set(&self.queued, stats.queued);
            set(&self.processing, stats.processing);
            set(&self.units, stats.requests_today);
            set(&self.workers, workers as u64);
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_told_by_name() {
        let metrics = Metrics::default();
        metrics.settled(Status::Succeeded, 0.3);
        metrics.settled(Status::Succeeded, 70.0);
        metrics.answered(202);
        let text = metrics.text(Some((Stats { queued: 7, ..Stats::default() }, 2)));
        for line in [
            "remaster_jobs_settled_total{status=\"succeeded\"} 2",
            "remaster_job_seconds_bucket{le=\"0.5\"} 1",
            "remaster_http_answers_total{code=\"202\"} 1",
            "remaster_queue_depth 7",
            "remaster_workers 2",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
    }
}
