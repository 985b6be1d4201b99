//! Weights of networks: read, checked, and converted to ONNX.
//!
//! - [`convert`] turns the bytes of a weight file into the bytes of an ONNX model.
//! - [`Description`] is what such a model says about itself in its ONNX metadata.
//! - [`half_precision`] turns a converted model into the same network in float16, for GPUs.
//! - [`mix`] makes a network between two of the same shape.
//! - [`dense_block`] is a small network for measuring a machine.
//! - [`split`] cuts one where its features are enlarged.
//!
//! This crate works on bytes in memory. It knows nothing of where files come from or where they are installed.
//!
//! Invariants: nothing in a file is executed; a size that a file claims is checked against the bytes it has before
//! anything is allocated for it; what is not fully understood is refused by naming the tensor, the layer or the input;
//! the same file always gives the same bytes.

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod architecture;
mod checkpoint;
mod convert;
mod dense_block;
mod mix;
mod ncnn;
mod network;
mod onnx;
mod onnx_file;
mod precision;
mod split;

pub use architecture::Architecture;
pub use checkpoint::WeightsError;
pub use convert::{ConvertError, Converted, Expected, WeightFile, convert};
pub use dense_block::dense_block;
pub use mix::mix;
pub use ncnn::NcnnError;
pub use onnx::meta::Description;
pub use onnx_file::OnnxError;
pub use precision::{HalfError, half_precision};
pub use split::{Split, split};
