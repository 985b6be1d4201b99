//! What is wrong with a weight file, and at which tensor.

/// Why a `.pth` or `.safetensors` file does not become a network.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum WeightsError {
    /// The file is not a weight file, or it is cut off.
    #[error("{0}")]
    File(String),
    /// The file names a Python object that weights do not need, such as a function to call on loading.
    #[error("the file names the Python object {0:?}, which is not accepted; nothing of it was executed")]
    Foreign(String),
    /// The pickle is broken, or has something that `torch.save` does not write.
    #[error("its pickle at byte {at}: {what}")]
    Pickle {
        /// The position in bytes, counted from zero: in `data.pkl`, or in a file without members.
        at: usize,
        /// What is wrong.
        what: String,
    },
    /// A tensor is broken, or its kind is not accepted.
    #[error("tensor {name:?}: {what}")]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What is wrong.
        what: String,
    },
    /// The architecture has this tensor, and the file does not.
    #[error("tensor {0:?} is missing")]
    Missing(String),
    /// The file has this tensor, and the architecture does not.
    #[error("tensor {0:?} has no place in the network")]
    Surplus(String),
    /// The shape of a tensor does not fit the rest of the network.
    #[error("tensor {name:?} has the shape {got:?}, expected {expected:?}")]
    Shape {
        /// The tensor's name.
        name: String,
        /// The shape that the architecture asks for.
        expected: Vec<usize>,
        /// The shape in the file.
        got: Vec<usize>,
    },
    /// No known architecture has tensors of these names.
    #[error(
        "not a network that is known (RRDBNet, SRVGGNetCompact, GFPGAN, RetinaFace-R50, ParseNet); its first tensor is {0:?}"
    )]
    Unknown(String),
}
