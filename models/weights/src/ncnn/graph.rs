//! The graph while it is being translated, and what is known of each blob in it.

use std::collections::HashMap;

use super::weights::Weights;
use crate::onnx::build::Builder;
use crate::onnx::ports::OUTPUT;

/// What a blob carries: a tensor of `[N, channels, scale * H, scale * W]` for an input image of `[N, 3, H, W]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    /// Its name in the ONNX graph.
    pub name: String,
    pub channels: usize,
    pub scale: u32,
}

/// The graph so far. The prefix of an ONNX name tells what it names, so that no file can make two names collide: `t:` is
/// a blob, `w:` are weights, `c:` is a constant, and any other prefix is an intermediate value of the blob that follows.
pub(super) struct State<'a> {
    pub graph: Builder,
    pub weights: Weights<'a>,
    /// What the blobs so far carry, by their ncnn names.
    pub values: HashMap<String, Value>,
    /// The ncnn name of the network's output.
    pub output: String,
}

impl State<'_> {
    /// The ONNX name of the blob.
    pub(super) fn name(&self, blob: &str) -> String {
        if blob == self.output { OUTPUT.to_owned() } else { format!("t:{blob}") }
    }
}
