//! What all nodes have in common, as the store reported it. Each API node tells all of it, so that the largest is the number, and not the sum.

use std::sync::atomic::Ordering;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

use super::StoreNumbers;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

/// What jobs that need no upscaler have in its place.
const NO_MODEL: &str = "none";

/// The numbers of the store.
pub(super) struct QueueMetrics {
    pub(super) registry: Registry,
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
    lost: Counter,
}

impl Default for QueueMetrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("remaster");
        let mut gauge = |name: &str, help: &str| {
            let gauge = Gauge::default();
            registry.register(name, help, gauge.clone());
            gauge
        };
        let queued = gauge("queue_depth", "Queued jobs over all nodes");
        let processing = gauge("jobs_processing", "Jobs in processing over all nodes");
        let workers = gauge("workers", "Workers that have announced themselves recently");
        let paused = gauge("workers_paused", "Workers among them that take no jobs, after a fault of their own");
        let units = gauge("units_today", "Images charged since midnight UTC");
        let oldest = gauge(
            "queue_oldest_seconds",
            "How long the oldest job of the client has waited that waits the longest, in seconds",
        );
        let garbage = gauge("garbage_blobs", "Blobs over all nodes that are to be deleted now");
        let webhooks_due = gauge("webhooks_due", "Webhooks over all nodes that are to be sent now");
        let (by_model, reclaimed, poisoned, lost) =
            (Family::default(), Counter::default(), Counter::default(), Counter::default());
        registry.register(
            "model_queue_depth",
            "Queued jobs over all nodes by the upscaler that they need; none for those that need none",
            by_model.clone(),
        );
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
        registry.register(
            "jobs_lost",
            "Jobs over all nodes whose records were gone from the store, as when a full Redis evicts them",
            lost.clone(),
        );
        Self {
            registry,
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
            lost,
        }
    }
}

impl QueueMetrics {
    /// Takes over what the store reported.
    pub(super) fn set(&self, StoreNumbers { stats, queue, oldest, workers, paused }: StoreNumbers) {
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
            let model = if model.is_empty() { NO_MODEL.to_owned() } else { model };
            set(&self.by_model.get_or_create(&ModelLabel { model }), jobs);
        }
        self.reclaimed.inner().store(queue.reclaimed, Ordering::Relaxed);
        self.poisoned.inner().store(queue.poisoned, Ordering::Relaxed);
        self.lost.inner().store(queue.lost, Ordering::Relaxed);
    }
}
