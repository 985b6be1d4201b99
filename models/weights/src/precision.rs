//! The same network in half precision, for GPUs: weights and activations are float16, inputs and outputs stay float32.
//!
//! Only graphs that this program built are converted, because it does not know every part of a foreign one. Nodes stay in
//! float32 where float16 would overflow or lose too much: in what makes and normalises styles, and in a softmax. The same
//! graph always gives the same bytes.

use std::collections::{HashMap, HashSet};

use half::f16;
use prost::Message;

use crate::onnx::build::int;
use crate::onnx::proto::{FLOAT, FLOAT16, Graph, INT64, Model, Node, Tensor, own};

/// The operators that stay in float32. A node whose result only they use stays in float32 too if its operator is among
/// [`FOLLOWING`].
const WIDE: [&str; 5] = ["Gemm", "MatMul", "Sqrt", "Div", "Softmax"];
const FOLLOWING: [&str; 4] = ["Mul", "Add", "Slice", "Flatten"];

/// Why a model cannot be converted to half precision.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum HalfError {
    /// The bytes are no ONNX file, or one with parts that this program does not write.
    #[error("the graph was not built by this program")]
    Foreign,
    /// The graph has a tensor that is neither float32 nor int64.
    #[error("the tensor {0:?} is not float32")]
    NotSingle(String),
    /// A weight is beyond 65504, the largest float16.
    #[error("the tensor {0:?} has values that float16 cannot hold")]
    TooLarge(String),
}

/// Converts `model`, an ONNX file that [`convert`](crate::convert()) made, to the same network in half precision.
///
/// # Errors
/// A graph that this program did not build, that is in half precision already, or whose weights are too large for it.
pub fn half_precision(model: &[u8]) -> Result<Vec<u8>, HalfError> {
    let (model, graph) = own(model).ok_or(HalfError::Foreign)?;
    Ok(Model { graph: Some(Conversion::of(graph)?), ..model }.encode_to_vec())
}

/// The type of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Int,
    Single,
    Half,
}

/// A graph that is being converted.
struct Conversion {
    /// The type of each value so far.
    types: HashMap<String, Type>,
    /// The float32 tensors, which are added to the graph in the type that is asked for.
    weights: HashMap<String, Tensor>,
    /// The names of the values and tensors that were added in another type.
    cast: HashSet<String>,
    out: Graph,
}

impl Conversion {
    fn of(graph: Graph) -> Result<Graph, HalfError> {
        let wide = wide(&graph);
        let Graph { node, initializer, name, input, output } = graph;
        let mut own =
            Self { types: HashMap::new(), weights: HashMap::new(), cast: HashSet::new(), out: Graph::default() };
        for tensor in initializer {
            let kind = match tensor.data_type {
                FLOAT => Type::Single,
                INT64 => Type::Int,
                _ => return Err(HalfError::NotSingle(tensor.name)),
            };
            own.types.insert(tensor.name.clone(), kind);
            if kind == Type::Int {
                own.out.initializer.push(tensor);
            } else {
                own.weights.insert(tensor.name.clone(), tensor);
            }
        }
        own.types.extend(input.iter().map(|value| (value.name.clone(), Type::Single)));
        let outputs: HashSet<&str> = output.iter().map(|value| value.name.as_str()).collect();
        for (node, wide) in node.into_iter().zip(wide) {
            own.node(node, wide, &outputs)?;
        }
        Ok(Graph { name, input, output, ..own.out })
    }

    /// Adds `node`, and casts its inputs to the type that it works in.
    fn node(&mut self, mut node: Node, wide: bool, outputs: &HashSet<&str>) -> Result<(), HalfError> {
        let wanted = if wide { Type::Single } else { Type::Half };
        let first = node.input.first().and_then(|name| self.types.get(name)).copied().unwrap_or(Type::Single);
        let made = if first == Type::Int || node.op_type == "Shape" { Type::Int } else { wanted };
        // The factors of a Resize are float32, whatever the type of its data.
        let data = if node.op_type == "Resize" { 1 } else { node.input.len() };
        for (at, name) in node.input.iter_mut().enumerate().filter(|(_, name)| !name.is_empty()) {
            let wanted = if at < data { wanted } else { Type::Single };
            let shape_only = node.op_type == "Shape";
            if self.types.get(name) != Some(&Type::Int) && !shape_only {
                *name = self.value(name, wanted)?;
            }
        }
        let mut casts = Vec::new();
        for name in &mut node.output {
            if made == Type::Half && outputs.contains(name.as_str()) {
                let half = format!("{name}/half");
                casts.push(cast(&half, name, FLOAT));
                *name = half;
            }
            self.types.insert(name.clone(), made);
        }
        self.out.node.push(node);
        self.out.node.extend(casts);
        Ok(())
    }

    /// The name of the value `name` in the type `wanted`; a cast is added where it is not in the graph.
    fn value(&mut self, name: &str, wanted: Type) -> Result<String, HalfError> {
        let there = self.types.get(name).copied().unwrap_or(Type::Single);
        let constant = self.weights.get(name);
        if there == wanted && constant.is_none() {
            return Ok(name.to_owned());
        }
        let (other, element) = match (wanted, constant) {
            (Type::Half, _) => (format!("{name}/half"), FLOAT16),
            (_, None) => (format!("{name}/single"), FLOAT),
            (_, Some(_)) => (name.to_owned(), FLOAT),
        };
        if self.cast.insert(other.clone()) {
            match constant {
                Some(tensor) => {
                    let tensor = if wanted == Type::Half { narrowed(tensor)? } else { tensor.clone() };
                    self.out.initializer.push(Tensor { name: other.clone(), ..tensor });
                }
                None => self.out.node.push(cast(name, &other, element)),
            }
        }
        Ok(other)
    }
}

/// Which nodes stay in float32, in the order of the nodes.
fn wide(graph: &Graph) -> Vec<bool> {
    let mut wide = vec![false; graph.node.len()];
    // Going from the end of the graph to its start: whether every use of a value so far is in float32.
    let mut uses: HashMap<&str, bool> = graph.output.iter().map(|value| (value.name.as_str(), false)).collect();
    for (node, wide) in graph.node.iter().zip(&mut wide).rev() {
        let op = node.op_type.as_str();
        let follows =
            || FOLLOWING.contains(&op) && node.output.iter().all(|name| uses.get(name.as_str()) == Some(&true));
        *wide = WIDE.contains(&op) || follows();
        for name in &node.input {
            *uses.entry(name.as_str()).or_insert(true) &= *wide;
        }
    }
    wide
}

fn cast(from: &str, to: &str, element: i32) -> Node {
    Node {
        input: vec![from.to_owned()],
        output: vec![to.to_owned()],
        name: format!("{to}/cast"),
        op_type: "Cast".to_owned(),
        attribute: vec![int("to", element.into())],
    }
}

fn narrowed(tensor: &Tensor) -> Result<Tensor, HalfError> {
    let single = tensor.raw_data.as_deref().unwrap_or_default();
    let values: Vec<f16> =
        single.as_chunks::<4>().0.iter().map(|&value| f16::from_f32(f32::from_le_bytes(value))).collect();
    if !values.iter().all(|value| value.is_finite()) {
        return Err(HalfError::TooLarge(tensor.name.clone()));
    }
    let raw_data = Some(values.iter().flat_map(|value| value.to_le_bytes()).collect());
    Ok(Tensor { data_type: FLOAT16, raw_data, ..tensor.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expected, WeightFile, convert};

    fn converted(file: &str) -> Vec<u8> {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../reference/pytorch").join(file);
        let expected = Expected { id: "net", source_sha256: "", scale: None, architecture: None };
        convert(WeightFile::Pth(std::fs::read(path).unwrap()), &expected).unwrap().onnx
    }

    #[test]
    fn weights_are_halved_and_the_ports_stay() {
        for file in ["rrdbnet-x4.pth", "rrdbnet-x2.pth", "srvgg-x4.pth", "gfpgan.pth", "retinaface.pth", "parsenet.pth"]
        {
            let single = converted(file);
            let half = half_precision(&single).unwrap();
            assert_eq!(half, half_precision(&single).unwrap());
            assert!(half.len() < single.len() * 3 / 4, "{file}: {} to {}", single.len(), half.len());
            let [before, after] = [&single, &half].map(|bytes| Model::decode(bytes.as_slice()).unwrap());
            assert_eq!(before.metadata_props, after.metadata_props);
            let (before, after) = (before.graph.unwrap(), after.graph.unwrap());
            assert_eq!((before.input, before.output), (after.input, after.output));
            let names: HashSet<&str> = after.node.iter().map(|node| node.name.as_str()).collect();
            assert_eq!(names.len(), after.node.len(), "{file}");
            assert!(matches!(half_precision(&half), Err(HalfError::NotSingle(_))));
        }
    }

    #[test]
    fn a_foreign_graph_or_a_large_weight_is_refused() {
        let single = converted("srvgg-x4.pth");
        let mut foreign = single.clone();
        // A field that the types here do not know: `ModelProto.domain`.
        foreign.extend([0x22, 1, b'x']);
        assert_eq!(half_precision(&foreign), Err(HalfError::Foreign));
        assert_eq!(half_precision(b"x"), Err(HalfError::Foreign));
        let mut model = Model::decode(single.as_slice()).unwrap();
        let tensor = &mut model.graph.as_mut().unwrap().initializer[0];
        tensor.raw_data.as_mut().unwrap()[..4].copy_from_slice(&7e4_f32.to_le_bytes());
        let name = tensor.name.clone();
        assert_eq!(half_precision(&model.encode_to_vec()), Err(HalfError::TooLarge(name)));
    }
}
