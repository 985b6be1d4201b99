//! A network in two parts. Nearly all the work of an enlarging network is done at the size of its input, and nearly all its memory is
//! taken where that is enlarged. The part before, the trunk, sees far around a pixel and has to have much of the picture at once; the part
//! after, the tail, sees no further than a pixel or two and can go over the picture in strips.

use std::collections::{HashMap, HashSet};

use prost::Message;

use crate::onnx::ports::{INPUT, OUTPUT, Ports};
use crate::onnx::proto::{Graph, Model, Node, own};

/// The operators that a tail may have. Each works on pixels next to each other.
const LOCAL: [&str; 3] = ["Conv", "LeakyRelu", "Resize"];

/// A network in two parts.
#[derive(Debug, Clone, PartialEq)]
pub struct Split {
    /// The ONNX model from the image, `[n, 3, h, w]`, to its features, `[n, c, h', w']`.
    pub trunk: Vec<u8>,
    /// The ONNX model from the features to the enlarged image, `[n, 3, s h', s w']`. Where the trunk works on whole blocks of pixels, this
    /// is larger than the result, which is its upper left part.
    pub tail: Vec<u8>,
    /// How many rows of features around its own a strip has to have, so that it equals that part of the whole.
    pub halo: usize,
}

/// Splits `model`, an ONNX file that [`convert`](crate::convert()) made, where its features are enlarged first. `None` for a graph that
/// this program did not build, or whose end does not follow from such features alone.
#[must_use]
pub fn split(model: &[u8]) -> Option<Split> {
    let (model, graph) = own(model)?;
    let nodes = Nodes::of(&graph);
    let last = nodes.producer(&graph.output.first()?.name)?;
    // Padding to whole blocks is cut off at the end.
    let end = if last.op_type == "Slice" { last.input.first()? } else { last.output.first()? };
    let features = graph.node.iter().find(|node| node.op_type == "Resize")?.input.first()?;
    let trunk = nodes.between(INPUT, features)?;
    let tail = nodes.between(features, end)?;
    if trunk.is_empty() || !tail.iter().all(|at| LOCAL.contains(&graph.node[*at].op_type.as_str())) {
        return None;
    }
    let halo = halo(tail.iter().map(|at| &graph.node[*at]), &graph)?;
    Some(Split {
        trunk: part(&model, &graph, &trunk, (INPUT, features)),
        tail: part(&model, &graph, &tail, (features, end)),
        halo,
    })
}

/// The nodes of a graph by what they make.
struct Nodes<'a> {
    nodes: &'a [Node],
    producers: HashMap<&'a str, usize>,
    tensors: HashSet<&'a str>,
}

impl<'a> Nodes<'a> {
    fn of(graph: &'a Graph) -> Self {
        let made = |(at, node): (usize, &'a Node)| node.output.iter().map(move |name| (name.as_str(), at));
        Self {
            nodes: &graph.node,
            producers: graph.node.iter().enumerate().flat_map(made).collect(),
            tensors: graph.initializer.iter().map(|tensor| tensor.name.as_str()).collect(),
        }
    }

    fn producer(&self, value: &str) -> Option<&'a Node> {
        Some(&self.nodes[*self.producers.get(value)?])
    }

    /// The places of the nodes that lead from the value `from` to the value `to`, in order. `None` when `to` needs more than `from` and
    /// constant tensors.
    fn between(&self, from: &str, to: &'a str) -> Option<Vec<usize>> {
        let (mut found, mut wanted) = (HashSet::new(), vec![to]);
        while let Some(value) = wanted.pop() {
            if value == from || value.is_empty() || self.tensors.contains(value) {
                continue;
            }
            let at = *self.producers.get(value)?;
            if found.insert(at) {
                wanted.extend(self.nodes[at].input.iter().map(String::as_str));
            }
        }
        let mut found: Vec<usize> = found.into_iter().collect();
        found.sort_unstable();
        Some(found)
    }
}

/// How many rows of its input around a row the nodes see, which follow one another.
fn halo<'a>(nodes: impl Iterator<Item = &'a Node>, graph: &Graph) -> Option<usize> {
    let (mut scale, mut seen) = (1.0, 0.0);
    for node in nodes {
        match node.op_type.as_str() {
            "Resize" => {
                let factors = graph.initializer.iter().find(|tensor| Some(&tensor.name) == node.input.get(2))?;
                let height = factors.raw_data.as_ref()?.get(8..12)?.try_into().ok()?;
                scale *= f64::from(f32::from_le_bytes(height));
            }
            "Conv" => {
                let kernel = node.attribute.iter().find(|attribute| attribute.name == "kernel_shape")?.ints.first()?;
                seen += (*kernel / 2) as f64 / scale;
            }
            _ => {}
        }
    }
    // Each enlargement rounds to whole pixels once.
    Some(seen.ceil() as usize + 1)
}

/// The nodes at `places`, as a model from one value to another.
fn part(model: &Model, graph: &Graph, places: &[usize], (from, to): (&str, &str)) -> Vec<u8> {
    let renamed = |name: &String| match name.as_str() {
        name if name == from => INPUT.to_owned(),
        name if name == to => OUTPUT.to_owned(),
        name => name.to_owned(),
    };
    let node: Vec<Node> = places
        .iter()
        .map(|at| {
            let node = graph.node[*at].clone();
            let (input, output) = (node.input.iter().map(renamed).collect(), node.output.iter().map(renamed).collect());
            Node { input, output, ..node }
        })
        .collect();
    let used: HashSet<&str> = node.iter().flat_map(|node| node.input.iter().map(String::as_str)).collect();
    let initializer = graph.initializer.iter().filter(|tensor| used.contains(tensor.name.as_str())).cloned().collect();
    let Ports { input, outputs } = Ports::features(INPUT, OUTPUT);
    let graph = Graph { node, initializer, name: graph.name.clone(), input: vec![input], output: outputs };
    Model { graph: Some(graph), ..model.clone() }.encode_to_vec()
}
