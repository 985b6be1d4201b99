//! From ncnn layers to an ONNX graph. Each blob's channels and scale are worked out on the way, so that layers that do
//! not fit each other are refused.

use std::collections::{HashMap, HashSet};

use super::error::NcnnError;
use super::graph::{State, Value};
use super::layers;
use super::param::{self, Layer};
use super::weights::Weights;
use crate::onnx::build::Builder;
use crate::onnx::meta::Description;
use crate::onnx::ports::{INPUT, OUTPUT, Ports};
use crate::onnx::proto::Model;

/// The channels of an image: red, green, blue.
const CHANNELS: usize = 3;
/// The largest accepted scale; no known upscaler has more than 8.
const MAX_SCALE: u32 = 16;

/// A translated network.
#[derive(Debug)]
pub(crate) struct Network {
    /// Output pixels per input pixel along one side.
    pub scale: u32,
    graph: Builder,
}

impl Network {
    pub(crate) fn into_model(self, description: &Description) -> Model {
        self.graph.finish(description, Ports::images())
    }
}

/// Translates the network of the `.param` `text` and the `.bin` `bin`, which has to take one RGB image and give one.
///
/// # Errors
/// A file that is broken, or a layer or parameter that is not translated, by name.
pub(crate) fn translate(text: &str, bin: &[u8]) -> Result<Network, NcnnError> {
    let layers = param::parse(text)?;
    let output = output_of(&layers)?;
    let mut state =
        State { graph: Builder::default(), weights: Weights::new(bin), values: HashMap::new(), output: output.clone() };
    let mut names = HashSet::new();
    let mut last = None;
    for mut layer in layers {
        if !names.insert(layer.name.clone()) {
            return Err(layer.error("the name is used twice"));
        }
        let values = step(&mut layer, &mut state, last.is_none()).map_err(|what| layer.error(what))?;
        for (blob, value) in layer.outputs.iter().zip(values) {
            if state.values.insert(blob.clone(), value).is_some() {
                return Err(layer.error(format!("gives {blob}, which is there already")));
            }
        }
        last = Some(layer.name);
    }
    if state.weights.left() > 0 {
        let (left, last) = (state.weights.left(), last.unwrap_or_default());
        return Err(NcnnError::Graph(format!("the .bin has {left} bytes more than the layers up to {last} take")));
    }
    let Some(Value { channels: CHANNELS, scale, .. }) = state.values.get(&output).cloned() else {
        return Err(NcnnError::Graph(format!("the output {output} does not have the 3 channels of an image")));
    };
    Ok(Network { scale, graph: state.graph })
}

/// Looks up the inputs of a layer and adds its node; returns what its outputs carry.
fn step(layer: &mut Layer, state: &mut State<'_>, first: bool) -> Result<Vec<Value>, String> {
    let inputs = layer
        .inputs
        .iter()
        .map(|blob| state.values.get(blob).cloned().ok_or_else(|| format!("takes {blob}, which no layer above gives")))
        .collect::<Result<Vec<_>, _>>()?;
    let values = match (layer.kind.as_str(), first) {
        ("Input", true) => vec![input(layer)?],
        ("Input", false) => return Err("a second input is not supported".to_owned()),
        (_, true) => return Err("the first layer has to be the Input".to_owned()),
        ("Split", _) => split(layer, &inputs, state)?,
        _ => vec![layers::add(layer, &inputs, state)?],
    };
    layer.params.finish()?;
    if let Some(value) = values.iter().find(|value| value.scale > MAX_SCALE) {
        return Err(format!("a scale of {} is more than {MAX_SCALE}", value.scale));
    }
    Ok(values)
}

fn input(layer: &mut Layer) -> Result<Value, String> {
    if !layer.inputs.is_empty() || layer.outputs.len() != 1 {
        return Err("has to have no input and one output".to_owned());
    }
    // ncnn does not insist on the width and the height given here.
    layer.params.int(0, 0)?;
    layer.params.int(1, 0)?;
    match layer.params.int(2, 0)? {
        0 | 3 => Ok(Value { name: INPUT.to_owned(), channels: CHANNELS, scale: 1 }),
        other => Err(format!("{other} input channels, but an image has 3")),
    }
}

/// ONNX needs no node for a copy, so the outputs become other names for the input. An output of the network needs a
/// node, because a graph's output cannot be a second name.
fn split(layer: &Layer, inputs: &[Value], state: &mut State<'_>) -> Result<Vec<Value>, String> {
    let [value] = inputs else {
        return Err(format!("has {} inputs, not 1", inputs.len()));
    };
    let copies = layer.outputs.iter().map(|blob| {
        if *blob != state.output {
            return value.clone();
        }
        state.graph.node("Identity", &layer.name, &[&value.name], OUTPUT, Vec::new());
        Value { name: OUTPUT.to_owned(), ..value.clone() }
    });
    Ok(copies.collect())
}

/// The only blob that no layer takes.
fn output_of(layers: &[Layer]) -> Result<String, NcnnError> {
    let taken: HashSet<_> = layers.iter().flat_map(|layer| &layer.inputs).collect();
    let mut free = layers.iter().flat_map(|layer| &layer.outputs).filter(|blob| !taken.contains(blob));
    match (free.next(), free.next()) {
        (Some(output), None) => Ok(output.clone()),
        (None, _) => Err(NcnnError::Graph("the network has no output".to_owned())),
        (Some(one), Some(other)) => {
            Err(NcnnError::Graph(format!("the network has more than one output: {one}, {other}")))
        }
    }
}
