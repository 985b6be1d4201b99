//! Why the faces of a picture could not be found or restored.

use ndarray::ShapeError;
use remaster_engine::EngineError;

use crate::blocking::BlockingError;
use crate::output::OutputError;
use crate::picture::ResizeError;

/// Why the faces of a picture could not be found or restored.
#[derive(Debug, thiserror::Error)]
pub enum FacesError {
    /// The engine could not run the detector, the restorer or the parser.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A network returned something that cannot be used.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The picture could not be resized for the detector.
    #[error(transparent)]
    Resize(#[from] ResizeError),
    /// Faces could not be joined into one batch.
    #[error("a batch of faces: {0}")]
    Batch(#[from] ShapeError),
    /// A step on a blocking thread panicked.
    #[error(transparent)]
    Blocking(#[from] BlockingError),
}
