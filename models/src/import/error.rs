//! Why a file cannot be imported, in one line each.

use std::path::PathBuf;

use super::ncnn::NcnnError;
use super::weights::WeightsError;
use crate::disk::DiskError;
use crate::manifest::Kind;

/// Why a file did not become a model.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The id could not name a file safely.
    #[error("{0:?} cannot be an id: use 1 to 64 of a-z, 0-9, '.', '-', '_', starting with a letter or a digit")]
    BadId(String),
    /// The id belongs to something that is no model.
    #[error("the id {id:?} is taken by a {kind}")]
    Reserved {
        /// The id.
        id: String,
        /// What has it.
        kind: Kind,
    },
    /// An extension that no importer takes.
    #[error("{}: not an accepted kind; import takes .pth, .safetensors, .onnx, and ncnn's .param with its .bin beside it", .0.display())]
    NotAccepted(PathBuf),
    /// Half of an ncnn network.
    #[error("{}: needs {} beside it", file.display(), missing.display())]
    Alone {
        /// The half that is there.
        file: PathBuf,
        /// The half that is not.
        missing: PathBuf,
    },
    /// The file cannot be read.
    #[error("{}: {why}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's own words.
        why: String,
    },
    /// Past the limit for its kind.
    #[error("{}: larger than the {limit} bytes that are accepted", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// An ncnn network that is broken, or has something this importer does not translate.
    #[error("ncnn: {0}")]
    Ncnn(#[from] NcnnError),
    /// A PyTorch weight file that is broken, or not of a known network; the tensor is named.
    #[error("weights: {0}")]
    Weights(#[from] WeightsError),
    /// An ONNX file that is broken, or does not take and give one RGB image batch.
    #[error("onnx: {0}")]
    Onnx(String),
    /// Neither the file nor the caller tells the scale.
    #[error("the file does not tell its scale: give it with --scale")]
    ScaleUnknown,
    /// Two scales.
    #[error("the scale is {got}, expected {expected}")]
    ScaleDiffers {
        /// What the manifest or the caller says.
        expected: u32,
        /// What the file, or else the caller, says.
        got: u32,
    },
    /// The weights are of another network than the id, or the caller, says.
    #[error("the network is {got}, expected {expected}")]
    ArchitectureDiffers {
        /// What the manifest or the caller says.
        expected: String,
        /// What the file has.
        got: &'static str,
    },
    /// The models directory cannot take it.
    #[error(transparent)]
    Disk(#[from] DiskError),
}
