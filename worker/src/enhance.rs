//! One picture, from the bytes that were uploaded to the file that is kept:
//! decode -> upright -> find faces -> restore faces -> enlarge, strip by strip -> blend faces in -> reduce -> encode.
//!
//! Faces are searched and restored at the input's resolution. A strip is a row of tiles: no more of the result is in memory, but for
//! formats whose encoders take it whole. Steps that work on pixels run on blocking threads, so that the engine
//! works on another job meanwhile. No state outlives a call.

mod error;
mod output;
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
use output::Written;
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
        let (width, height) = params.result_size(picture.width as u32, picture.height as u32);
        let found = self.stage("find_faces", steps.find_faces(&picture)).await?;
        let share = EnlargingShare::new(&picture, found.count(), params.background);
        let restoring = |fraction: f64| progress(share.restoring(fraction));
        let began = Instant::now();
        let (restored, faces) = steps.restore_faces(&found, &picture, &restoring).await?;
        let restoring = began.elapsed();
        let mut out = steps.output(&picture, (width as usize, height as usize), restored).await?;
        let enlarging = |fraction: f64| progress(share.enlarging(fraction));
        self.stage("enlarge", steps.enlarge(picture, &enlarging, &mut out)).await?;
        let Written { encoded, blending, encoding } = out.finish().await?;
        self.metrics.stage("restore_faces", restoring + blending);
        self.metrics.stage("encode", encoding);
        Ok(Enhanced { encoded, width, height, faces })
    }

    async fn stage<T, E>(&self, name: &'static str, stage: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        let began = Instant::now();
        let done = stage.await?;
        self.metrics.stage(name, began.elapsed());
        Ok(done)
    }
}
