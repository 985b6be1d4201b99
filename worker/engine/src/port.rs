//! The port: what the rest of the program knows of an engine and of the networks that it runs.

use std::sync::Arc;

use async_trait::async_trait;
use ndarray::{Array4, ArrayD};
use remaster_models::Kind;
use remaster_shared::job::ModelId;

use crate::error::EngineError;

/// A tensor of the shape `[batch, channels, height, width]`.
pub type Tensor = Array4<f32>;

/// An engine that several tasks use.
pub type SharedEngine = Arc<dyn Engine>;

/// Runs networks. Dropping the future of a call stops its run.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// What is known of `model` before it runs.
    ///
    /// # Errors
    /// [`EngineError::NotInstalled`] when there is no such model.
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError>;

    /// Runs `model` on `[n, c, h, w]` and returns its first output, `[n, c', scale * h, scale * w]`.
    ///
    /// The values may be NaN or infinite; the caller checks them.
    ///
    /// # Errors
    /// Any [`EngineError`]. After [`EngineError::OutOfMemory`] a smaller input may succeed.
    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError>;

    /// Runs `model` on `[n, c, h, w]` and returns all its outputs, in the order of the graph.
    ///
    /// # Errors
    /// Those of [`Engine::run`].
    async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
        let values = self.run(model, input).await?.into_dyn();
        Ok(vec![Output { name: "output".into(), values }])
    }

    /// What networks run on; `None` as long as that is not known, or where there is nothing to run them.
    fn running_on(&self) -> Option<RunningOn> {
        None
    }

    /// The precision in which `model` runs, as the setting `PRECISION` writes it; `None` as long as it has not run.
    fn precision(&self, _model: &ModelId) -> Option<&'static str> {
        None
    }

    /// The models of `kind` that can be run now, the preferred ones first, the others by id. Callers ask anew for each job, because models are
    /// installed and removed while the process runs.
    async fn installed(&self, _kind: Kind) -> Vec<Available> {
        Vec::new()
    }
}

/// What is known of a network before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    /// Output pixels per input pixel along one side.
    pub scale: u32,
    /// The width in input pixels of the border around a tile that visibly changes the tile's output. Tiles are run
    /// with this many pixels of context on each side.
    pub overlap: usize,
    /// The pixels of the largest tile, overlap included, that is worth its memory.
    pub tile_area: usize,
    /// Whether it is for drawings and not for photos.
    pub drawings: bool,
}

/// What networks run on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunningOn {
    /// The devices as the setting `DEVICE` writes them, such as `cpu` or `cuda:0,1`.
    pub device: String,
    /// The precision as the setting `PRECISION` writes it, such as `fp32`.
    pub precision: String,
    /// Why, in words.
    pub reason: String,
}

/// One output of a network.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// The output's name in the graph.
    pub name: String,
    /// The output's values, in the shape that the graph gives them.
    pub values: ArrayD<f32>,
}

/// An installed model, with what is needed to choose one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Available {
    /// The id under which [`Engine::run`] knows the model.
    pub id: ModelId,
    /// The family of the network, such as `yunet`.
    pub architecture: String,
}
