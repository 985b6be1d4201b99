//! Why a file cannot be imported, in one line each.

use std::io;
use std::path::PathBuf;

use remaster_shared::catalogue::Kind;
use remaster_weights::ConvertError;

use crate::disk::DiskError;

/// Why a file did not become a model.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The id could not name a file safely.
    #[error("{0:?} cannot be an id: use 1 to 64 of a-z, 0-9, '.', '-', '_', starting with a letter or a digit")]
    BadId(String),
    /// The id belongs to an asset that is not a model.
    #[error("the id {id:?} is taken by a {kind}")]
    Reserved {
        /// The id.
        id: String,
        /// The kind of the asset that has it.
        kind: Kind,
    },
    /// The file's extension is not that of an accepted format.
    #[error("{}: not an accepted kind; import takes .pth, .safetensors, .onnx, and ncnn's .param with its .bin beside it", .0.display())]
    NotAccepted(PathBuf),
    /// Only one of the two files of an ncnn network is there.
    #[error("{}: needs {} beside it", file.display(), missing.display())]
    Alone {
        /// The file that is there.
        file: PathBuf,
        /// The file that is missing.
        missing: PathBuf,
    },
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is larger than its format needs to be.
    #[error("{}: larger than the {limit} bytes that are accepted", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },
    /// The file's content does not become a model.
    #[error(transparent)]
    Convert(#[from] ConvertError),
    /// The models directory cannot take the model.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
