//! One picture, from the bytes that were uploaded to the PNG that is kept.
//!
//! decode -> upright -> background enlarged by the network (or by Lanczos) -> PNG. Decoding and encoding run on
//! blocking threads, so the engine works on another job meanwhile. No state outlives a call.

use std::path::PathBuf;

use bytes::Bytes;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{EnhanceParams, FaceMode, FaceReport, FaceStatus, InputInfo};

use crate::engine::{EngineError, SharedEngine};
use crate::picture::{Encoded, decode, encode};
use crate::upscale::{TileSettings, blocking, enlarge, upscale};

/// The finished picture.
#[derive(Debug)]
pub struct Enhanced {
    pub png: Encoded,
    pub width: u32,
    pub height: u32,
    pub faces: FaceReport,
}

#[derive(Debug, thiserror::Error)]
pub enum EnhanceError {
    /// The picture's own fault, already worded for its owner.
    #[error(transparent)]
    Picture(JobError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("writing the result: {0}")]
    Io(#[from] std::io::Error),
    #[error("a step panicked: {0}")]
    Panic(String),
}

impl EnhanceError {
    /// What the job's owner reads; the cause stays in the log.
    pub fn public(&self) -> JobError {
        match self {
            EnhanceError::Picture(error) => error.clone(),
            EnhanceError::Engine(EngineError::NotInstalled(model)) => {
                JobError::new(ErrorCode::ModelUnavailable, format!("The model {model} is not installed."))
            }
            _ => JobError::internal(),
        }
    }
}

/// What every picture is made with.
#[derive(Clone)]
pub struct Enhancer {
    pub engine: SharedEngine,
    pub tiles: TileSettings,
    /// Where a finished PNG lies until it is stored.
    pub spool: PathBuf,
}

impl Enhancer {
    /// Makes the picture that `params` asks for of `input`, whose header said `info`. `progress` hears fractions, 0..=1.
    /// Dropping the future stops the work within a tile.
    pub async fn enhance(
        &self,
        input: Bytes,
        info: &InputInfo,
        params: &EnhanceParams,
        progress: &(dyn Fn(f64) + Send + Sync),
    ) -> Result<Enhanced, EnhanceError> {
        let (header, policy) = (info.clone(), params.metadata);
        let picture = blocking(move || decode(&input, &header, policy)).await?.map_err(EnhanceError::Picture)?;
        let enlarged = if params.background {
            upscale(&self.engine, self.tiles, picture, &params.model, params.scale, progress).await?
        } else {
            let factor = params.scale.factor() as usize;
            blocking(move || enlarge(&picture, factor)).await??
        };
        let (width, height) = (enlarged.width as u32, enlarged.height as u32);
        let spool = self.spool.clone();
        let png = blocking(move || encode(&enlarged, &spool)).await??;
        Ok(Enhanced { png, width, height, faces: faces(params.faces) })
    }
}

/// No face model can be installed yet, so none is found; the report says why.
fn faces(mode: FaceMode) -> FaceReport {
    let status = match mode {
        FaceMode::Off => FaceStatus::Off,
        FaceMode::Auto | FaceMode::Require => FaceStatus::ModelNotInstalled,
    };
    FaceReport { found: 0, restored: 0, status }
}
