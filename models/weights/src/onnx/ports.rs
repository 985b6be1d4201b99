//! The inputs and outputs of a graph: float32 tensors whose first dimension is the batch, which is free.

use super::proto::{Dim, DimValue, FLOAT, Shape, TensorType, Type, ValueInfo};

/// The name of the only input of every graph: `[batch, 3, height, width]`.
pub(crate) const INPUT: &str = "input";
/// The name of the output of a graph that has one output.
pub(crate) const OUTPUT: &str = "output";

/// The channels of an image.
const CHANNELS: i64 = 3;

/// The input of a graph, and its outputs in order.
#[derive(Debug)]
pub(crate) struct Ports {
    pub input: ValueInfo,
    pub outputs: Vec<ValueInfo>,
}

impl Ports {
    /// Images of any size in, images of any size out.
    pub(crate) fn images() -> Self {
        let output = port(OUTPUT, vec![fixed(CHANNELS), free("output_height"), free("output_width")]);
        Self { input: image(), outputs: vec![output] }
    }

    /// Maps of features of any size in and out.
    pub(crate) fn features(input: &str, output: &str) -> Self {
        let map = |name| {
            port(
                name,
                vec![
                    free(&format!("{name}_channels")),
                    free(&format!("{name}_height")),
                    free(&format!("{name}_width")),
                ],
            )
        };
        Self { input: map(input), outputs: vec![map(output)] }
    }

    /// Images of `side` x `side` pixels in, `channels` planes of the same size out.
    pub(crate) fn squares(side: u32, channels: usize) -> Self {
        let square = |name, channels| port(name, vec![fixed(channels), fixed(side.into()), fixed(side.into())]);
        Self { input: square(INPUT, CHANNELS), outputs: vec![square(OUTPUT, channels as i64)] }
    }

    /// Images of any size in; for each name and length in `outputs`, rows of that length out. Their number depends on the
    /// size of the image.
    pub(crate) fn rows(outputs: &[(&str, usize)]) -> Self {
        let rows = |&(name, length): &(&str, usize)| port(name, vec![free("rows"), fixed(length as i64)]);
        Self { input: image(), outputs: outputs.iter().map(rows).collect() }
    }
}

fn image() -> ValueInfo {
    port(INPUT, vec![fixed(CHANNELS), free("height"), free("width")])
}

fn port(name: &str, rest: Vec<Dim>) -> ValueInfo {
    let dim = [vec![free("batch")], rest].concat();
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape: Some(Shape { dim }) });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}

fn free(name: &str) -> Dim {
    Dim { value: Some(DimValue::Named(name.to_owned())) }
}

fn fixed(size: i64) -> Dim {
    Dim { value: Some(DimValue::Fixed(size)) }
}
