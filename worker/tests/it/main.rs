//! The worker with its real parts: ONNX Runtime, the imported networks, the SQLite store.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod corpus;
mod faces;
mod faces_found;
mod faults;
mod fixtures;
mod formats;
mod half;
mod ncnn;
mod openvino;
mod outputs;
mod pytorch;
mod queue;
mod real;
mod seams;
