//! An engine whose runs are counted.

use std::sync::Arc;

use async_trait::async_trait;
use remaster_engine::{Available, Engine, EngineError, Network, Output, RunningOn, SharedEngine, Tensor};
use remaster_models::Kind;
use remaster_shared::job::ModelId;
use remaster_shared::metrics::Metrics;

/// The engine inside, with its runs counted in the metrics.
pub struct MeasuredEngine {
    inner: SharedEngine,
    metrics: Arc<Metrics>,
}

impl MeasuredEngine {
    /// Counts the runs of `inner` in `metrics`.
    pub fn around(inner: SharedEngine, metrics: Arc<Metrics>) -> SharedEngine {
        Arc::new(Self { inner, metrics })
    }
}

#[async_trait]
impl Engine for MeasuredEngine {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        self.inner.network(model).await
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        let _run = self.metrics.engine_run(model.mixture().0.as_str());
        self.inner.run(model, input).await
    }

    async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
        let _run = self.metrics.engine_run(model.mixture().0.as_str());
        self.inner.outputs(model, input).await
    }

    fn running_on(&self) -> Option<RunningOn> {
        self.inner.running_on()
    }

    fn precision(&self, model: &ModelId) -> Option<&'static str> {
        self.inner.precision(model)
    }

    async fn installed(&self, kind: Kind) -> Vec<Available> {
        self.inner.installed(kind).await
    }
}
