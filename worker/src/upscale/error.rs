//! Why a picture could not be enlarged.

use remaster_engine::EngineError;

use crate::blocking::BlockingError;
use crate::output::OutputError;
use crate::picture::ResizeError;

/// Why a picture could not be enlarged by a network.
#[derive(Debug, thiserror::Error)]
pub enum UpscaleError {
    /// The engine could not run the network on a tile.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The network returned a tile that cannot be used.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// A tile could not be brought from the network's scale to the one that was asked for.
    #[error(transparent)]
    Resize(#[from] ResizeError),
    /// A step on a blocking thread panicked.
    #[error(transparent)]
    Blocking(#[from] BlockingError),
}
