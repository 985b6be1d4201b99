//! Why a picture could not be made, for the log and for the job's owner.

use remaster_engine::EngineError;
use remaster_shared::error::{ErrorCode, JobError};

use crate::blocking::BlockingError;
use crate::faces::FacesError;
use crate::gate::Part;
use crate::picture::{EncodeError, ResizeError};
use crate::upscale::UpscaleError;

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
pub enum EnhanceError {
    /// The picture itself is at fault. The error is worded for the job's owner.
    #[error(transparent)]
    Picture(JobError),
    /// Faces were required, and a network that finds or restores them is missing.
    #[error("no face detector or no face restorer is installed")]
    NoFaceModel,
    /// The network could not enlarge the picture.
    #[error(transparent)]
    Upscale(#[from] UpscaleError),
    /// The picture could not be enlarged without a network.
    #[error(transparent)]
    Resize(#[from] ResizeError),
    /// Faces could not be found or restored.
    #[error(transparent)]
    Faces(#[from] FacesError),
    /// The result could not be written.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// A step on a blocking thread panicked.
    #[error(transparent)]
    Blocking(#[from] BlockingError),
}

/// Who is to blame for a picture that could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blame {
    /// A model is not installed here. Another worker may have it, and this one can do other jobs.
    Missing,
    /// The picture, or this attempt at it.
    Attempt,
    /// This part of the worker, which has to work again before other jobs are tried.
    Worker(Part),
    /// The picture or the device, which a trial of the network tells apart.
    Device,
}

impl EnhanceError {
    /// Who is to blame.
    pub fn blame(&self) -> Blame {
        match self {
            EnhanceError::NoFaceModel => Blame::Missing,
            EnhanceError::Encode(EncodeError::Write(_)) => Blame::Worker(Part::Spool),
            EnhanceError::Upscale(UpscaleError::Engine(error)) | EnhanceError::Faces(FacesError::Engine(error)) => {
                match error {
                    EngineError::NotInstalled(_) => Blame::Missing,
                    EngineError::NotMixed(..) => Blame::Attempt,
                    EngineError::Load(model, _) => Blame::Worker(Part::Model(model.clone())),
                    EngineError::OutOfMemory(_) | EngineError::Run(_) | EngineError::Stopped => Blame::Device,
                }
            }
            _ => Blame::Attempt,
        }
    }

    /// What the job's owner reads. Causes that the owner can do nothing about stay in the log.
    pub fn public(&self) -> JobError {
        match self {
            EnhanceError::Picture(error) => error.clone(),
            EnhanceError::NoFaceModel => {
                JobError::new(ErrorCode::ModelUnavailable, "The models that restore faces are not installed.")
            }
            EnhanceError::Upscale(UpscaleError::Engine(EngineError::NotInstalled(model)))
            | EnhanceError::Faces(FacesError::Engine(EngineError::NotInstalled(model))) => {
                JobError::new(ErrorCode::ModelUnavailable, format!("The model {model} is not installed."))
            }
            EnhanceError::Upscale(UpscaleError::Engine(error @ EngineError::NotMixed(..))) => {
                JobError::new(ErrorCode::ModelUnavailable, format!("{error}."))
            }
            _ => JobError::internal(),
        }
    }
}
