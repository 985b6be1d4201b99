//! The worker with its real parts: ONNX Runtime, the imported networks, the SQLite store.

mod formats;
mod ncnn;
mod queue;
mod real;
mod seams;
