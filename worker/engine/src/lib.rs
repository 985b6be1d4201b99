//! Networks as a port: a picture in, a picture or several outputs out.
//!
//! The implementation over ONNX Runtime lives below; nothing outside this module names `ort`. Tensors are `f32` in
//! N x C x H x W order; the range of their samples is the network's: 0..=1 for upscalers.

mod device;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod lazy;
mod onnx;
mod precision;
mod session;

use std::sync::Arc;

use async_trait::async_trait;
use ndarray::{Array4, ArrayD, Ix4};
pub use remaster_models::Kind;
use remaster_shared::job::ModelId;

pub use device::{Device, DeviceError};
pub use lazy::Lazy;
pub use onnx::{EngineSettings, OnnxEngine, StartError};
pub use precision::{Precision, PrecisionError};

/// A tensor of `[batch, channels, height, width]`.
pub type Tensor = Array4<f32>;

/// One of a network's outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its name in the graph.
    pub name: String,
    pub values: ArrayD<f32>,
}

/// The first output, which has to be a tensor of four dimensions.
fn first(outputs: Vec<Output>) -> Result<Tensor, EngineError> {
    let output = outputs.into_iter().next().ok_or_else(|| EngineError::Run("no output".into()))?;
    output.values.into_dimensionality::<Ix4>().map_err(|error| EngineError::Run(error.to_string()))
}

/// An installed model, as far as choosing one needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    pub id: ModelId,
    /// The network's family, such as `yunet`.
    pub architecture: String,
}

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

    /// Runs `model` on `[n, 3, h, w]`; the answer is `[n, 3, scale * h, scale * w]`.
    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError>;

    /// Runs `model` and gives all that comes out, in the graph's order.
    async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
        let values = self.run(model, input).await?.into_dyn();
        Ok(vec![Output { name: "output".into(), values }])
    }

    /// The models of `kind` that can be run now, the preferred ones first and the others by id. Every job asks anew, because
    /// models come and go while the process runs.
    async fn installed(&self, _kind: Kind) -> Vec<Available> {
        Vec::new()
    }
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
