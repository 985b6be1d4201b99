//! The engine of a process that runs no networks.

use async_trait::async_trait;
use remaster_shared::job::ModelId;

use crate::error::EngineError;
use crate::port::{Engine, Network, Tensor};

/// An engine without any model: every call fails with [`EngineError::NotInstalled`].
pub struct Absent;

#[async_trait]
impl Engine for Absent {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        Err(EngineError::NotInstalled(model.clone()))
    }

    async fn run(&self, model: &ModelId, _input: Tensor) -> Result<Tensor, EngineError> {
        Err(EngineError::NotInstalled(model.clone()))
    }
}
