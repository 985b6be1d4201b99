//! Networks as a port: a tile in, an enlarged tile out.
//!
//! The implementation over ONNX Runtime lives below; nothing outside this module names `ort`. Tensors are `f32` in
//! N x C x H x W order, samples 0..=1.

mod device;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod lazy;
mod onnx;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use ndarray::Array4;
use remaster_shared::job::ModelId;

pub use device::{Device, DeviceError};
pub use lazy::Lazy;
pub use onnx::{EngineSettings, OnnxEngine, StartError};

/// A tensor of `[batch, channels, height, width]`, samples 0..=1.
pub type Tensor = Array4<f32>;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    #[error("the model {0} is not installed")]
    NotInstalled(ModelId),
    #[error("the model {0} cannot be loaded: {1}")]
    Load(ModelId, String),
    /// The device ran out of memory; a smaller tile may fit.
    #[error("out of memory: {0}")]
    OutOfMemory(String),
    #[error("the network failed: {0}")]
    Run(String),
    #[error("the engine has stopped")]
    Stopped,
}

/// What is known of a network before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// The factor by which it enlarges each side.
    pub scale: u32,
    /// How many input pixels around a tile change its output visibly: what tiles have to overlap by.
    pub overlap: usize,
}

/// What runs networks. Dropping the future of a call stops its run.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError>;

    /// Runs `model` on `[1, 3, h, w]`; the answer is `[1, 3, scale * h, scale * w]`.
    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError>;
}

/// No engine: where networks are not used at all.
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

pub type SharedEngine = Arc<dyn Engine>;
