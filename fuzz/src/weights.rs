//! Weight files that an operator imports from somewhere.

use remaster_weights::{Expected, WeightFile, convert, half_precision, split};

const EXPECTED: Expected<'_> = Expected { id: "fuzzed", source_sha256: "00", scale: None, architecture: None };

/// An ncnn network: its text, a zero byte, and its weights.
pub fn ncnn(bytes: &[u8]) {
    let at = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let (param, bin) = (bytes[..at].to_vec(), bytes.get(at + 1..).unwrap_or_default().to_vec());
    let _ = convert(WeightFile::Ncnn { param, bin }, &EXPECTED);
}

/// A checkpoint of PyTorch, or a safetensors file.
pub fn checkpoint(bytes: &[u8]) {
    let _ = convert(WeightFile::Pth(bytes.to_vec()), &EXPECTED);
    let _ = convert(WeightFile::Safetensors(bytes.to_vec()), &EXPECTED);
}

/// An ONNX model, and what is made of an installed one.
pub fn onnx(bytes: &[u8]) {
    let _ = convert(WeightFile::Onnx(bytes.to_vec()), &Expected { scale: Some(4), ..EXPECTED });
    let _ = half_precision(bytes);
    let _ = split(bytes);
}
