//! Building a graph node by node.

use std::collections::HashSet;

use super::meta::Description;
use super::ports::Ports;
use super::proto::{Attribute, FLOAT, Graph, INT64, Model, Node, OperatorSet, Tensor};

/// IR version 8 and opset 17 belong together; every ONNX Runtime since 1.12 reads them.
const IR_VERSION: i64 = 8;
const OPSET: i64 = 17;

/// A graph under construction.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    graph: Graph,
    /// The names of the constants in the graph.
    constants: HashSet<String>,
}

impl Builder {
    /// Adds a node. The values that it takes have to be in the graph already, because ONNX wants nodes in that order.
    pub(crate) fn node(&mut self, op: &str, name: &str, inputs: &[&str], output: &str, attribute: Vec<Attribute>) {
        self.graph.node.push(Node {
            input: inputs.iter().map(|&input| input.to_owned()).collect(),
            output: vec![output.to_owned()],
            name: name.to_owned(),
            op_type: op.to_owned(),
            attribute,
        });
    }

    /// Whether the graph has a node of that name.
    pub(crate) fn has_node(&self, name: &str) -> bool {
        self.graph.node.iter().any(|node| node.name == name)
    }

    /// Adds a float32 tensor of the shape `dims`; `raw` holds its values row by row, little-endian.
    pub(crate) fn tensor(&mut self, name: &str, dims: Vec<i64>, raw: Vec<u8>) {
        let (name, raw_data) = (name.to_owned(), Some(raw));
        self.graph.initializer.push(Tensor { dims, data_type: FLOAT, name, raw_data });
    }

    /// Adds a constant row of integers, such as sizes, and returns its name. Equal rows are added once.
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

    /// Adds a float32 constant of the shape `dims`, or a scalar where `dims` is empty, and returns its name. Equal constants
    /// are added once.
    pub(crate) fn constant(&mut self, values: &[f32], dims: Vec<i64>) -> String {
        let words: Vec<_> = values.iter().map(f32::to_string).collect();
        let name = format!("c:{}:{}", dims.len(), words.join(","));
        if self.constants.insert(name.clone()) {
            self.tensor(&name, dims, values.iter().flat_map(|value| value.to_le_bytes()).collect());
        }
        name
    }

    /// Finishes the model, which then describes itself by `description`.
    pub(crate) fn finish(self, description: &Description, ports: Ports) -> Model {
        Model { metadata_props: description.entries(), ..self.model(&description.id, ports) }
    }

    /// Finishes a model that says nothing of itself.
    pub(crate) fn model(mut self, name: &str, ports: Ports) -> Model {
        self.graph.name = name.to_owned();
        self.graph.input = vec![ports.input];
        self.graph.output = ports.outputs;
        Model {
            ir_version: IR_VERSION,
            producer_name: "remaster".to_owned(),
            graph: Some(self.graph),
            opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
            metadata_props: Vec::new(),
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
