//! An engine that starts when it is first used: the runtime may arrive while the process runs.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use async_trait::async_trait;
use remaster_shared::job::ModelId;

use super::{Available, Engine, EngineError, Kind, Network, Output, SharedEngine, Tensor};

type Start = Box<dyn Fn() -> Result<SharedEngine, String> + Send + Sync>;

pub struct Lazy {
    start: Start,
    started: Mutex<Option<SharedEngine>>,
    /// Whether it was said that it cannot start.
    said: AtomicBool,
}

impl Lazy {
    /// `start` is called until it succeeds, once for every use; it says why it cannot.
    pub fn new(start: impl Fn() -> Result<SharedEngine, String> + Send + Sync + 'static) -> Self {
        Self { start: Box::new(start), started: Mutex::default(), said: AtomicBool::new(false) }
    }

    fn engine(&self) -> Option<SharedEngine> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if started.is_none() {
            match (self.start)() {
                Ok(engine) => *started = Some(engine),
                Err(reason) => {
                    if !self.said.swap(true, Ordering::Relaxed) {
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
