//! One picture, from the bytes that were uploaded to the file that is kept:
//! decode -> upright -> find faces -> enlarge -> restore faces -> keep grain -> fit -> encode.
//!
//! Faces are searched at the input's resolution. Steps that work on pixels run on blocking threads, so that the engine
//! works on another job meanwhile. No state outlives a call.

mod error;
mod share;
mod steps;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use remaster_engine::SharedEngine;
use remaster_shared::job::{EnhanceParams, FaceReport, InputInfo};
use remaster_shared::metrics::Metrics;

use crate::picture::Encoded;
use crate::progress::Progress;
use crate::upscale::TileSettings;
use share::EnlargingShare;
use steps::Steps;

pub use error::{Blame, EnhanceError};

/// Makes pictures out of uploads.
#[derive(Clone)]
pub struct Enhancer {
    /// Runs the networks.
    pub engine: SharedEngine,
    /// How pictures are cut into tiles for upscalers.
    pub tiles: TileSettings,
    /// The folder in which a finished file lies until it is stored.
    pub spool: PathBuf,
    /// Where the time of each stage is counted.
    pub metrics: Arc<Metrics>,
}

/// A finished picture.
#[derive(Debug)]
pub struct Enhanced {
    /// The file, a temporary one.
    pub encoded: Encoded,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// What became of the picture's faces.
    pub faces: FaceReport,
}

impl Enhancer {
    /// Makes the picture that `params` asks for out of `input`, whose header said `info`. Dropping the future stops the
    /// work after at most one tile.
    ///
    /// # Errors
    /// The input cannot be decoded, a model is missing, a network fails, or the result cannot be written.
    pub async fn enhance(
        &self,
        input: Bytes,
        info: &InputInfo,
        params: &EnhanceParams,
        progress: Progress<'_>,
    ) -> Result<Enhanced, EnhanceError> {
        let steps = Steps { engine: &self.engine, tiles: self.tiles, spool: &self.spool, params };
        let decoded = self.stage("decode", steps.decode(input, info)).await?;
        let picture = steps.upright(decoded).await?;
        let size = (picture.width, picture.height);
        let found = self.stage("find_faces", steps.find_faces(&picture)).await?;
        let share = EnlargingShare::new(&picture, found.count(), params.background);
        let enlarging = |fraction: f64| progress(share.enlarging(fraction));
        let enlarged = self.stage("enlarge", steps.enlarge(&picture, &enlarging)).await?;
        let restoring = |fraction: f64| progress(share.restoring(fraction));
        let restored = steps.restore_faces(&found, Arc::clone(&picture), enlarged, &restoring);
        let (finished, faces) = self.stage("restore_faces", restored).await?;
        let finished = self.stage("keep_grain", steps.keep_grain(picture, finished)).await?;
        let finished = self.stage("fit", steps.fit(finished, size)).await?;
        let (width, height) = (finished.width as u32, finished.height as u32);
        let encoded = self.stage("encode", steps.encode(finished)).await?;
        Ok(Enhanced { encoded, width, height, faces })
    }

    async fn stage<T, E>(&self, name: &'static str, stage: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = Instant::now();
        let done = stage.await?;
        self.metrics.stage(name, began.elapsed());
        Ok(done)
    }
}
