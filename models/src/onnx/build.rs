//! Assembling a graph node by node.

use std::collections::HashSet;

use super::meta::Description;
use super::proto::{
    Attribute, Dim, DimValue, FLOAT, Graph, INT64, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type, ValueInfo,
};

/// The image graph's only input: `[batch, 3, height, width]`, float32.
pub(crate) const INPUT: &str = "input";
/// The image graph's only output: `[batch, 3, S * height, S * width]`, float32.
pub(crate) const OUTPUT: &str = "output";

/// Opset 17 came with IR version 8; every ONNX Runtime since 1.12 reads both.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// A graph under construction.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    graph: Graph,
    constants: HashSet<String>,
}

impl Builder {
    /// Adds a node; its inputs must be there already.
    pub(crate) fn node(&mut self, op: &str, name: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) {
        self.graph.node.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute,
        });
    }

    /// Whether a node of that name is there.
    pub(crate) fn has_node(&self, name: &str) -> bool {
        self.graph.node.iter().any(|node| node.name == name)
    }

    /// Adds a float32 tensor; `raw` is little-endian.
    pub(crate) fn tensor(&mut self, name: &str, dims: Vec<i64>, raw: Vec<u8>) {
        let (name, raw_data) = (name.to_owned(), Some(raw));
        self.graph.initializer.push(Tensor { dims, data_type: FLOAT, name, raw_data });
    }

    /// A constant row of integers, such as sizes, shared by all who need the same; returns its name.
    pub(crate) fn integers(&mut self, values: &[i64]) -> String {
        let words: Vec<_> = values.iter().map(i64::to_string).collect();
        let name = format!("i:{}", words.join(","));
        if self.constants.insert(name.clone()) {
            let raw_data = Some(values.iter().flat_map(|value| value.to_le_bytes()).collect());
            let tensor = Tensor { dims: vec![values.len() as i64], data_type: INT64, name: name.clone(), raw_data };
            self.graph.initializer.push(tensor);
        }
        name
    }

    /// A float32 constant of these values, shared by all who need the same; returns its name.
    /// Without `dims` it is a scalar.
    pub(crate) fn constant(&mut self, values: &[f32], dims: Vec<i64>) -> String {
        let words: Vec<_> = values.iter().map(f32::to_string).collect();
        let name = format!("c:{}:{}", dims.len(), words.join(","));
        if self.constants.insert(name.clone()) {
            self.tensor(&name, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect());
        }
        name
    }

    /// The finished image model, for images of any size.
    pub(crate) fn finish(self, description: &Description) -> Model {
        let free = |sides: [&str; 2]| sides.map(|side| DimValue::Named(side.to_owned()));
        self.model(description, free(["height", "width"]), free(["output_height", "output_width"]))
    }

    /// The finished image model, for images of `side` x `side` pixels.
    pub(crate) fn finish_square(self, description: &Description, side: u32) -> Model {
        let fixed = || [DimValue::Fixed(side.into()), DimValue::Fixed(side.into())];
        self.model(description, fixed(), fixed())
    }

    fn model(mut self, description: &Description, input: [DimValue; 2], output: [DimValue; 2]) -> Model {
        self.graph.name = description.id.clone();
        self.graph.input = vec![image(INPUT, input)];
        self.graph.output = vec![image(OUTPUT, output)];
        Model {
            ir_version: IR_VERSION,
            producer_name: "remaster".to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: description.entries(),
        }
    }
}

/// A float attribute.
pub(crate) fn float(name: &str, value: f32) -> Attribute {
    Attribute { name: name.to_owned(), f: Some(value), r#type: 1, ..Attribute::default() }
}

/// An integer attribute.
pub(crate) fn int(name: &str, value: i64) -> Attribute {
    Attribute { name: name.to_owned(), i: Some(value), r#type: 2, ..Attribute::default() }
}

/// A string attribute.
pub(crate) fn text(name: &str, value: &str) -> Attribute {
    Attribute { name: name.to_owned(), s: Some(value.as_bytes().to_vec()), r#type: 3, ..Attribute::default() }
}

/// An attribute of several integers.
pub(crate) fn ints(name: &str, values: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), ints: values.to_vec(), r#type: 7, ..Attribute::default() }
}

fn image(name: &str, [height, width]: [DimValue; 2]) -> ValueInfo {
    let batch = DimValue::Named("batch".to_owned());
    let dim = [batch, DimValue::Fixed(3), height, width].map(|value| Dim { value: Some(value) }).to_vec();
    let tensor_type = Some(TensorType { elem_type: FLOAT, shape: Some(Shape { dim }) });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}
