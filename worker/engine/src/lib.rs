//! Networks as a port: a tensor goes in, one or several tensors come out.
//!
//! [`Engine`] is the port. [`OnnxEngine`] implements it for networks in the format of ONNX, over ONNX Runtime and OpenVINO; only
//! `onnx_runtime` names `ort`, and only `openvino_runtime` names `openvino`. [`Lazy`] starts an engine on first use, and [`Absent`]
//! stands for none.
//!
//! Tensors are `f32` in N x C x H x W order with the channels red, green, blue, unless a network's architecture says
//! otherwise. The range of the values is the network's own: 0..=1 for upscalers, -1..=1 for face restorers.

#![warn(missing_docs)]

mod absent;
mod agreement;
mod device;
mod error;
#[cfg(any(test, feature = "testing"))]
pub mod fake;
mod graph;
mod lazy;
mod machine;
mod network;
mod onnx;
mod onnx_runtime;
mod openvino_runtime;
mod port;
mod precision;
mod session;
mod slot;
mod tile_area;

pub use remaster_models::Kind;

pub use absent::Absent;
pub use device::{Device, DeviceError};
pub use error::{Cause, EngineError};
pub use lazy::Lazy;
pub use onnx::{EngineSettings, OnnxEngine, StartError};
pub use port::{Available, Engine, Network, Output, RunningOn, SharedEngine, Tensor};
pub use precision::{Precision, PrecisionError};
