//! An engine without networks, for tests: enlarges by repeating pixels, and fails on demand.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use ndarray::Array4;
use remaster_shared::job::ModelId;

use super::{Engine, EngineError, Network, Tensor};

/// Repeats each pixel `scale` times in both directions.
pub struct FakeEngine {
    pub scale: u32,
    /// How long a tile takes.
    pub delay: Duration,
    /// Tiles with more pixels than this do not fit.
    pub largest: usize,
    /// Fill the output with NaN.
    pub broken: bool,
    /// Tiles run so far.
    pub runs: AtomicUsize,
}

impl Default for FakeEngine {
    fn default() -> Self {
        Self { scale: 4, delay: Duration::ZERO, largest: usize::MAX, broken: false, runs: AtomicUsize::new(0) }
    }
}

#[async_trait]
impl Engine for FakeEngine {
    async fn network(&self, _model: &ModelId) -> Result<Network, EngineError> {
        Ok(Network { scale: self.scale, overlap: 8 })
    }

    async fn run(&self, _model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        tokio::time::sleep(self.delay).await;
        self.runs.fetch_add(1, Ordering::SeqCst);
        let (n, c, h, w) = input.dim();
        if h * w > self.largest {
            return Err(EngineError::OutOfMemory(format!("{w}x{h}")));
        }
        let s = self.scale as usize;
        let at = |(n, c, y, x): (usize, usize, usize, usize)| {
            if self.broken { f32::NAN } else { input[(n, c, y / s, x / s)] }
        };
        Ok(Array4::from_shape_fn((n, c, h * s, w * s), at))
    }
}
