//! What a worker does with its time: the stages of its jobs, and its engine.

use std::sync::atomic::AtomicU64;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
use prometheus_client::registry::{Registry, Unit};

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabel {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ModelLabel {
    model: String,
}

/// The upper bounds of the histogram of stages, in seconds.
const STAGE_BOUNDS: [f64; 11] = [0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0];

/// The numbers of a worker's work.
pub(super) struct WorkMetrics {
    stages: Family<StageLabel, Histogram>,
    runs: Family<ModelLabel, Counter>,
    busy: Counter<f64, AtomicU64>,
    pub(super) reused: Counter,
    engine: Mutex<Engine>,
}

/// What the engine does now.
struct Engine {
    /// Runs that have begun and not ended.
    runs: usize,
    /// Up to when the time with runs is counted.
    counted: Instant,
}

/// A run of the engine, until it is dropped.
pub struct EngineRun<'a>(&'a WorkMetrics);

impl Drop for EngineRun<'_> {
    fn drop(&mut self) {
        self.0.change(|runs| runs - 1);
    }
}

impl WorkMetrics {
    pub(super) fn in_registry(registry: &mut Registry) -> Self {
        let stages = Family::new_with_constructor((|| Histogram::new(STAGE_BOUNDS)) as fn() -> Histogram);
        let (runs, busy, reused) = (Family::default(), Counter::default(), Counter::default());
        registry.register(
            "stage_seconds",
            "Time of a stage of a job (fetch, decode, find_faces, enlarge, restore_faces, fit, encode, store) on this node, in seconds",
            stages.clone(),
        );
        registry.register(
            "results_reused",
            "Jobs of this node whose result is that of an earlier job of the same client",
            reused.clone(),
        );
        registry.register("engine_runs", "Runs of a network on this node, by model", runs.clone());
        registry.register_with_unit(
            "engine_busy",
            "Time in which the engine of this node worked on a network, loading included, or others waited for it",
            Unit::Seconds,
            busy.clone(),
        );
        let engine = Mutex::new(Engine { runs: 0, counted: Instant::now() });
        Self { stages, runs, busy, reused, engine }
    }

    pub(super) fn stage(&self, stage: &'static str, time: Duration) {
        self.stages.get_or_create(&StageLabel { stage }).observe(time.as_secs_f64());
    }

    pub(super) fn run(&self, model: &str) -> EngineRun<'_> {
        self.runs.get_or_create(&ModelLabel { model: model.to_owned() }).inc();
        self.change(|runs| runs + 1);
        EngineRun(self)
    }

    /// Counts the time up to now.
    pub(super) fn catch_up(&self) {
        self.change(|runs| runs);
    }

    fn change(&self, to: impl Fn(usize) -> usize) {
        let mut engine = self.engine.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if engine.runs > 0 {
            self.busy.inc_by(now.duration_since(engine.counted).as_secs_f64());
        }
        *engine = Engine { runs: to(engine.runs), counted: now };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_busy_while_at_least_one_network_runs() {
        let work = WorkMetrics::in_registry(&mut Registry::default());
        let pause = || std::thread::sleep(Duration::from_millis(20));
        pause();
        let (one, two) = (work.run("a"), work.run("a"));
        pause();
        drop(one);
        pause();
        work.catch_up();
        let under_way = work.busy.get();
        assert!(under_way >= 0.04, "{under_way}");
        drop(two);
        let ended = work.busy.get();
        pause();
        work.catch_up();
        assert!((work.busy.get() - ended).abs() < f64::EPSILON);
        assert_eq!(work.runs.get_or_create(&ModelLabel { model: "a".into() }).get(), 2);
    }
}
