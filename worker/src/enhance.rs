//! One picture, from the bytes that were uploaded to the PNG that is kept.
//!
//! decode -> upright -> faces found -> background enlarged by the network (or by Lanczos) -> faces restored and blended
//! in -> PNG. Decoding and encoding run on blocking threads, so the engine works on another job meanwhile. No state
//! outlives a call.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{EnhanceParams, FaceMode, FaceReport, FaceStatus, InputInfo};

use crate::faces::{self, Face, FaceModels, Restoration};
use crate::picture::{Encoded, Picture, decode, encode};
use crate::upscale::{TileSettings, blocking, enlarge, upscale};
use remaster_engine::{EngineError, SharedEngine};

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
    /// Faces were required.
    #[error("no face detector or no face restorer is installed")]
    NoFaceModel,
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
            EnhanceError::NoFaceModel => {
                JobError::new(ErrorCode::ModelUnavailable, "The models that restore faces are not installed.")
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
        let picture = Arc::new(picture);
        let models = self.face_models(params.faces).await?;
        let found = match &models {
            Some(models) => faces::detect(&self.engine, &models.detector, &picture).await?,
            None => Vec::new(),
        };
        let first = share_of_background(&picture, found.len(), params.background);
        let enlarged = self.background(&picture, params, &|fraction| progress(first * fraction)).await?;
        let then = |fraction: f64| progress(first + (1.0 - first) * fraction);
        let (finished, faces) = match &models {
            Some(models) => self.faces(Found { models, faces: &found, picture, params }, enlarged, &then).await?,
            None => (enlarged, report(params.faces)),
        };
        let (width, height) = (finished.width as u32, finished.height as u32);
        let spool = self.spool.clone();
        let png = blocking(move || encode(&finished, &spool)).await??;
        Ok(Enhanced { png, width, height, faces })
    }

    /// What restores faces now, where it is asked for.
    async fn face_models(&self, mode: FaceMode) -> Result<Option<FaceModels>, EnhanceError> {
        match mode {
            FaceMode::Off => Ok(None),
            FaceMode::Auto => Ok(FaceModels::installed(&self.engine).await),
            FaceMode::Require => Ok(Some(FaceModels::installed(&self.engine).await.ok_or(EnhanceError::NoFaceModel)?)),
        }
    }

    async fn background(
        &self,
        picture: &Arc<Picture>,
        params: &EnhanceParams,
        progress: &(dyn Fn(f64) + Send + Sync),
    ) -> Result<Picture, EnhanceError> {
        let picture = Arc::clone(picture);
        if params.background {
            upscale(&self.engine, self.tiles, picture, &params.model, params.scale, progress).await
        } else {
            let factor = params.scale.factor() as usize;
            Ok(blocking(move || enlarge(&picture, factor)).await??)
        }
    }

    async fn faces(
        &self,
        Found { models, faces, picture, params }: Found<'_>,
        enlarged: Picture,
        progress: &(dyn Fn(f64) + Send + Sync),
    ) -> Result<(Picture, FaceReport), EnhanceError> {
        let work = Restoration {
            engine: &self.engine,
            models,
            source: picture,
            faces,
            factor: params.scale.factor() as usize,
            strength: params.face_strength,
        };
        let (finished, restored) = faces::restore(work, enlarged, progress).await?;
        let status = if faces.is_empty() { FaceStatus::NoneFound } else { FaceStatus::Restored };
        Ok((finished, FaceReport { found: faces.len() as u32, restored: restored as u32, status }))
    }
}

/// Faces of a picture, and what is to be done with them.
struct Found<'a> {
    models: &'a FaceModels,
    faces: &'a [Face],
    picture: Arc<Picture>,
    params: &'a EnhanceParams,
}

/// The report of a picture whose faces were not looked for.
fn report(mode: FaceMode) -> FaceReport {
    let status = match mode {
        FaceMode::Off => FaceStatus::Off,
        FaceMode::Auto | FaceMode::Require => FaceStatus::ModelNotInstalled,
    };
    FaceReport { found: 0, restored: 0, status }
}

/// Pixels of the background that take about as long as a face does.
const PIXELS_PER_FACE: usize = 40_000;

/// How much of the work the background is, 0..=1.
fn share_of_background(picture: &Picture, faces: usize, network: bool) -> f64 {
    let pixels = if network { picture.width * picture.height } else { 1 };
    pixels as f64 / (pixels + faces * PIXELS_PER_FACE) as f64
}
