//! An engine that starts when it is first used: the runtime may arrive while the process runs.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use remaster_shared::job::ModelId;

use super::{Engine, EngineError, Network, SharedEngine, Tensor};

type Start = Box<dyn Fn() -> Result<SharedEngine, String> + Send + Sync>;

pub struct Lazy {
    start: Start,
    started: Mutex<Option<SharedEngine>>,
}

impl Lazy {
    /// `start` is called until it succeeds, once for every use; it says why it cannot.
    pub fn new(start: impl Fn() -> Result<SharedEngine, String> + Send + Sync + 'static) -> Self {
        Self { start: Box::new(start), started: Mutex::default() }
    }

    fn engine(&self, model: &ModelId) -> Result<SharedEngine, EngineError> {
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(engine) = &*started {
            return Ok(engine.clone());
        }
        let engine = (self.start)().map_err(|reason| {
            tracing::warn!(reason, "the engine cannot start");
            EngineError::NotInstalled(model.clone())
        })?;
        Ok(started.insert(engine).clone())
    }
}

#[async_trait]
impl Engine for Lazy {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        self.engine(model)?.network(model).await
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        self.engine(model)?.run(model, input).await
    }
}
