//! The blocks that the architectures are built from. Each adds nodes to the graph and returns the name of their output.
//!
//! A value is named after the layer that gives it; weights have the names they have in the weight file. Feature maps are
//! `[N, C, H, W]`.

use crate::checkpoint::{Weights, WeightsError};
use crate::onnx::build::{Builder, float, int, ints, text};

/// The most blocks or layers in a row; no known network has so many.
const MAX_BLOCKS: usize = 1000;

/// A feature map: the name of its value, and its channels.
#[derive(Debug, Clone)]
pub(super) struct Map {
    pub value: String,
    pub channels: usize,
}

/// The graph so far, and the weights that are not taken yet.
pub(super) struct Net<'a> {
    pub graph: Builder,
    pub weights: Weights<'a>,
}

impl<'a> Net<'a> {
    pub(super) fn new(weights: Weights<'a>) -> Self {
        Self { graph: Builder::default(), weights }
    }

    /// How many blocks there are whose names are `prefix` and a number, by the highest number.
    pub(super) fn length_of(&self, prefix: &str) -> Result<usize, WeightsError> {
        let mut length = 0;
        for name in self.weights.names() {
            let number = name.strip_prefix(prefix).and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
            if let Some(number) = number {
                if number >= MAX_BLOCKS {
                    return Err(WeightsError::Surplus(name.to_owned()));
                }
                length = length.max(number + 1);
            }
        }
        Ok(length)
    }

    /// Puts the tensor `name`, which has to have the shape `dims`, into the graph; returns its name.
    pub(super) fn tensor(&mut self, name: &str, dims: &[usize]) -> Result<String, WeightsError> {
        let values = self.weights.take(name, dims)?;
        self.graph.tensor(name, dims.iter().map(|&dim| dim as i64).collect(), values);
        Ok(name.to_owned())
    }

    /// A 3x3 convolution with bias that keeps the size of the image; `channels` are those it takes and those it gives.
    pub(super) fn conv(&mut self, name: &str, from: &str, channels: [usize; 2]) -> Result<String, WeightsError> {
        self.conv_sized(name, from, channels, 3)
    }

    /// As [`Self::conv`], with a square kernel whose side is `kernel`, an odd number.
    pub(super) fn conv_sized(
        &mut self,
        name: &str,
        from: &str,
        [inputs, outputs]: [usize; 2],
        kernel: usize,
    ) -> Result<String, WeightsError> {
        let weight = self.tensor(&format!("{name}.weight"), &[outputs, inputs, kernel, kernel])?;
        let bias = self.tensor(&format!("{name}.bias"), &[outputs])?;
        Ok(self.conv_node(name, kernel, &[from, &weight, &bias]))
    }

    /// A convolution whose weights are in the graph already: `inputs` are its input, its weights and perhaps its bias.
    pub(super) fn conv_node(&mut self, name: &str, kernel: usize, inputs: &[&str]) -> String {
        self.conv_node_to(name, kernel, inputs, name)
    }

    /// As [`Self::conv_node`], for the value `out`.
    pub(super) fn conv_node_to(&mut self, name: &str, kernel: usize, inputs: &[&str], out: &str) -> String {
        let (kernel, pad) = (kernel as i64, (kernel / 2) as i64);
        let attributes = vec![ints("kernel_shape", &[kernel; 2]), ints("pads", &[pad; 4])];
        self.graph.node("Conv", name, inputs, out, attributes);
        out.to_owned()
    }

    /// The channels or columns of `from` from `start` to before `end`.
    pub(super) fn slice(&mut self, name: &str, from: &str, [start, end]: [usize; 2]) {
        let [start, end] = [start, end].map(|at| self.graph.integers(&[at as i64]));
        let axis = self.graph.integers(&[1]);
        self.graph.node("Slice", name, &[from, &start, &end, &axis], name, Vec::new());
    }

    /// ReLU.
    pub(super) fn relu(&mut self, from: &str) -> String {
        let out = format!("{from}/relu");
        self.graph.node("Relu", &out, &[from], &out, Vec::new());
        out
    }

    /// LeakyReLU with a slope of 0.2.
    pub(super) fn leaky(&mut self, from: &str) -> String {
        let out = format!("{from}/leaky");
        self.graph.node("LeakyRelu", &out, &[from], &out, vec![float("alpha", 0.2)]);
        out
    }

    /// PReLU with one slope per channel.
    pub(super) fn prelu(&mut self, name: &str, from: &str, channels: usize) -> Result<String, WeightsError> {
        let weight = format!("{name}.weight");
        let slopes = self.weights.take(&weight, &[channels])?;
        self.graph.tensor(&weight, vec![channels as i64, 1, 1], slopes);
        self.graph.node("PRelu", name, &[from, &weight], name, Vec::new());
        Ok(name.to_owned())
    }

    /// The maps `from`, joined along their channels.
    pub(super) fn concat(&mut self, name: &str, from: &[String]) -> String {
        let names: Vec<&str> = from.iter().map(String::as_str).collect();
        self.graph.node("Concat", name, &names, name, vec![int("axis", 1)]);
        name.to_owned()
    }

    /// `one + other`, as the value `out`.
    pub(super) fn add(&mut self, one: &str, other: &str, out: &str) -> String {
        self.graph.node("Add", out, &[one, other], out, Vec::new());
        out.to_owned()
    }

    /// `one + 0.2 * other`, by which residual blocks keep deep networks stable.
    pub(super) fn add_fifth(&mut self, one: &str, other: &str, out: &str) -> String {
        let (fifth, scaled) = (self.graph.constant(&[0.2], Vec::new()), format!("{out}/scaled"));
        self.graph.node("Mul", &scaled, &[other, &fifth], &scaled, Vec::new());
        self.add(one, &scaled, out)
    }

    /// An enlargement by nearest neighbour: every pixel is repeated `factor` times in both directions.
    pub(super) fn nearest(&mut self, name: &str, from: &str, factor: usize) -> String {
        let scales = self.graph.constant(&[1.0, 1.0, factor as f32, factor as f32], vec![4]);
        let attributes = vec![
            text("coordinate_transformation_mode", "asymmetric"),
            text("mode", "nearest"),
            text("nearest_mode", "floor"),
        ];
        self.graph.node("Resize", name, &[from, "", &scales], name, attributes);
        name.to_owned()
    }

    /// PyTorch's pixel shuffle: `[N, C*factor*factor, H, W]` to `[N, C, factor*H, factor*W]`.
    pub(super) fn pixel_shuffle(&mut self, name: &str, from: &str, factor: usize) -> String {
        let attributes = vec![int("blocksize", factor as i64), text("mode", "CRD")];
        self.graph.node("DepthToSpace", name, &[from], name, attributes);
        name.to_owned()
    }
}
