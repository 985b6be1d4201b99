//! A small network for measuring a machine.

use prost::Message;

use crate::onnx::build::{Builder, float, int, ints};
use crate::onnx::ports::{INPUT, OUTPUT, Ports};

/// The channels that come in and go out, and those that each convolution but the last adds.
const FEATURES: usize = 64;
const GROWTH: usize = 32;
/// The convolutions before the last one.
const LAYERS: usize = 4;
/// The value of every weight. A convolution takes as long with any other.
const WEIGHT: f32 = 0.01;

/// One dense block of an RRDBNet as an ONNX model, `[n, 64, h, w]` to `[n, 64, h, w]`: the work that such networks consist of, without
/// meaning. A machine computes it as much faster in one type than in another as it does the networks.
#[must_use]
pub fn dense_block() -> Vec<u8> {
    let mut graph = Builder::default();
    let mut seen = vec![INPUT.to_owned()];
    let mut input = INPUT.to_owned();
    for layer in 0..LAYERS {
        let name = format!("conv{layer}");
        convolution(&mut graph, &name, &input, [FEATURES + layer * GROWTH, GROWTH], &name);
        let leaky = format!("{name}/leaky");
        graph.node("LeakyRelu", &leaky, &[&name], &leaky, vec![float("alpha", 0.2)]);
        seen.push(leaky);
        input = format!("seen{layer}");
        let all: Vec<&str> = seen.iter().map(String::as_str).collect();
        graph.node("Concat", &input, &all, &input, vec![int("axis", 1)]);
    }
    convolution(&mut graph, "last", &input, [FEATURES + LAYERS * GROWTH, FEATURES], OUTPUT);
    graph.model("dense block", Ports::features(INPUT, OUTPUT)).encode_to_vec()
}

fn convolution(graph: &mut Builder, name: &str, from: &str, [inputs, outputs]: [usize; 2], out: &str) {
    let weight = format!("{name}.weight");
    let values = WEIGHT.to_le_bytes().repeat(outputs * inputs * 9);
    graph.tensor(&weight, vec![outputs as i64, inputs as i64, 3, 3], values);
    graph.node("Conv", name, &[from, &weight], out, vec![ints("kernel_shape", &[3; 2]), ints("pads", &[1; 4])]);
}
