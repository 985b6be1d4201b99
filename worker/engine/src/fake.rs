//! An engine without networks, for tests: it enlarges by repeating pixels and fails on demand.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use ndarray::Array4;
use remaster_shared::job::ModelId;

use crate::error::EngineError;
use crate::port::{Engine, Network, Tensor};

/// Repeats each pixel `scale` times in both directions, whatever the model. Its networks need an overlap of 8 pixels.
pub struct FakeEngine {
    /// Output pixels per input pixel along one side.
    pub scale: u32,
    /// How long a run takes.
    pub delay: Duration,
    /// Inputs of more pixels than this fail with [`EngineError::OutOfMemory`].
    pub largest: usize,
    /// What is taken off every sample.
    pub darker: f32,
    /// Fills every output with NaN.
    pub broken: bool,
    /// The number of runs so far, failed ones included.
    pub runs: AtomicUsize,
}

impl Default for FakeEngine {
    fn default() -> Self {
        Self {
            scale: 4,
            delay: Duration::ZERO,
            largest: usize::MAX,
            darker: 0.0,
            broken: false,
            runs: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl Engine for FakeEngine {
    async fn network(&self, _model: &ModelId) -> Result<Network, EngineError> {
        Ok(Network { scale: self.scale, overlap: 8, tile_area: 640 * 640, drawings: false })
    }

    async fn run(&self, _model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        tokio::time::sleep(self.delay).await;
        self.runs.fetch_add(1, Ordering::SeqCst);
        let (n, c, h, w) = input.dim();
        if h * w > self.largest {
            return Err(EngineError::OutOfMemory(format!("{w}x{h}").into()));
        }
        let s = self.scale as usize;
        let at = |(n, c, y, x): (usize, usize, usize, usize)| {
            if self.broken { f32::NAN } else { input[(n, c, y / s, x / s)] - self.darker }
        };
        Ok(Array4::from_shape_fn((n, c, h * s, w * s), at))
    }
}
