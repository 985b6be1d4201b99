//! The crate from outside: what is converted, what is refused, and what the result says of itself.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod fixtures;
mod hostile;
mod ncnn;
mod onnx;
mod pytorch;
