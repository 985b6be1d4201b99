//! An engine that starts on first use, because the inference runtime may be installed while the process runs.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use remaster_models::Kind;
use remaster_shared::job::ModelId;

use crate::error::EngineError;
use crate::port::{Available, Engine, Network, Output, RunningOn, SharedEngine, Tensor};

/// Starts an engine, or says why it cannot.
type Start = Box<dyn Fn() -> Result<SharedEngine, String> + Send + Sync>;

/// Starts the engine behind it on first use. Until it has started, no model counts as installed.
pub struct Lazy {
    start: Start,
    started: Mutex<Option<SharedEngine>>,
    /// Whether a failed start was logged; only the first one is.
    failure_logged: AtomicBool,
}

impl Lazy {
    /// An engine that each use tries to start with `start` until that has succeeded once. The error of `start` is the
    /// reason that is logged.
    pub fn new(start: impl Fn() -> Result<SharedEngine, String> + Send + Sync + 'static) -> Self {
        Self { start: Box::new(start), started: Mutex::default(), failure_logged: AtomicBool::new(false) }
    }

    fn engine(&self) -> Option<SharedEngine> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if started.is_none() {
            match (self.start)() {
                Ok(engine) => *started = Some(engine),
                Err(reason) => {
                    if !self.failure_logged.swap(true, Ordering::Relaxed) {
                        tracing::warn!(reason, "the engine cannot start yet");
                    }
                }
            }
        }
        started.clone()
    }

    fn engine_for(&self, model: &ModelId) -> Result<SharedEngine, EngineError> {
        self.engine().ok_or_else(|| EngineError::NotInstalled(model.clone()))
    }
}

#[async_trait]
impl Engine for Lazy {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        self.engine_for(model)?.network(model).await
    }

    /// Nothing is started only to be asked.
    fn running_on(&self) -> Option<RunningOn> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.running_on()
    }

    fn precision(&self, model: &ModelId) -> Option<&'static str> {
        self.started.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.precision(model)
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        self.engine_for(model)?.run(model, input).await
    }

    async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
        self.engine_for(model)?.outputs(model, input).await
    }

    async fn installed(&self, kind: Kind) -> Vec<Available> {
        match self.engine() {
            Some(engine) => engine.installed(kind).await,
            None => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;
    use crate::fake::FakeEngine;

    #[tokio::test]
    async fn starting_is_tried_until_it_succeeds_once() {
        let tries = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&tries);
        let lazy = Lazy::new(move || match counter.fetch_add(1, Ordering::SeqCst) {
            0 => Err("the runtime is not installed".into()),
            _ => Ok(Arc::new(FakeEngine::default()) as SharedEngine),
        });
        let model = ModelId::parse("fake").expect("a valid id");
        assert!(matches!(lazy.network(&model).await, Err(EngineError::NotInstalled(missing)) if missing == model));
        for _ in 0..3 {
            assert!(lazy.network(&model).await.is_ok());
        }
        assert_eq!(tries.load(Ordering::SeqCst), 2);
    }
}
