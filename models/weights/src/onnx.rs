//! [ONNX](https://github.com/onnx/onnx/blob/main/onnx/onnx.proto3) files: building them, and reading as much of them
//! as installing and listing need.

pub(crate) mod build;
pub(crate) mod meta;
pub(crate) mod ports;
pub(crate) mod proto;
pub(crate) mod wire;
