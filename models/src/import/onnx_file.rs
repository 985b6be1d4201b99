//! `.onnx` files: taken as they are when they take and give one RGB image batch, or are a known detector.
//!
//! The bytes are kept; only metadata entries of ours are cut out, since fresh ones are appended.

use std::io::Cursor;
use std::ops::Range;

use prost::Message;

use super::ImportError;
use crate::manifest::Kind;
use crate::onnx::meta::{self, PREFIX};
use crate::onnx::proto::{Dim, DimValue, Entry, FLOAT, ValueInfo};
use crate::onnx::wire::{self, Field};

/// Field numbers of `ModelProto`.
const GRAPH: u64 = 7;
const OPSET_IMPORT: u64 = 8;
const METADATA_PROPS: u64 = 14;
/// Field numbers of `GraphProto`.
const INITIALIZER: u64 = 5;
const INPUT: u64 = 11;
const OUTPUT: u64 = 12;
/// Field numbers of `TensorProto`.
const TENSOR_NAME: u64 = 8;
const DATA_LOCATION: u64 = 14;

/// A checked file.
pub(crate) struct Checked {
    /// The byte ranges that make up the installed model, before its fresh metadata.
    pub kept: Vec<Range<usize>>,
    /// The scale, where the file tells.
    pub scale: Option<u32>,
    pub kind: Kind,
    /// The network's family, where its outputs tell.
    pub architecture: Option<&'static str>,
}

/// YuNet's family, and its outputs at each of its strides.
pub(crate) const YUNET: &str = "yunet";
const YUNET_OUTPUTS: [&str; 4] = ["cls", "obj", "bbox", "kps"];
const YUNET_STRIDES: [u32; 3] = [8, 16, 32];

/// Checks the file's inputs and outputs.
pub(crate) fn check(bytes: &[u8]) -> Result<Checked, ImportError> {
    let fail = |error: std::io::Error| ImportError::Onnx(error.to_string());
    let mut from = Cursor::new(bytes);
    let fields = wire::fields(&mut from, 0..bytes.len() as u64).map_err(fail)?;
    if !fields.iter().any(|field| field.number == OPSET_IMPORT) {
        return Err(ImportError::Onnx("not an ONNX model: it names no operator set".to_owned()));
    }
    let mut graphs = fields.iter().filter(|field| field.number == GRAPH).filter_map(|field| field.content.clone());
    let (Some(graph), None) = (graphs.next(), graphs.next()) else {
        return Err(ImportError::Onnx("not an ONNX model: it has no single graph".to_owned()));
    };
    let graph = wire::fields(&mut from, graph).map_err(fail)?;
    let weights = initializers(&mut from, &graph)?;
    let mut inputs = values(bytes, &graph, INPUT)?;
    // Old files list their weights among the inputs.
    inputs.retain(|input| !weights.contains(&input.name));
    let outputs = values(bytes, &graph, OUTPUT)?;
    let input = image(&inputs, "input")?;
    let yunet = is_yunet(&outputs);
    let batch = if yunet { input[0].is_none_or(|batch| batch == 1) } else { input[0].is_none() };
    if !batch || !matches!(input, [_, Some(3), None, None]) {
        return Err(ImportError::Onnx(format!(
            "the input has the shape {}, expected [N,3,H,W] with N, H and W free",
            shown(input)
        )));
    }
    let kept = fields.iter().filter(|field| !is_ours(field, bytes)).filter_map(|field| slice(&field.whole)).collect();
    if yunet {
        return Ok(Checked { kept, scale: Some(1), kind: Kind::Detector, architecture: Some(YUNET) });
    }
    let output = image(&outputs, "output")?;
    if output[1].is_some_and(|channels| channels != 3) {
        return Err(ImportError::Onnx(format!("the output has the shape {}, expected 3 channels", shown(output))));
    }
    let entries = meta::entries_of(bytes).map_err(fail)?;
    let scale = entries.iter().rev().find(|entry| matches!(entry.key.as_str(), "remaster.scale" | "scale"));
    let scale = scale.and_then(|entry| entry.value.trim().parse().ok()).filter(|&scale| scale > 0);
    Ok(Checked { kept, scale, kind: Kind::Upscaler, architecture: None })
}

fn is_yunet(outputs: &[ValueInfo]) -> bool {
    let mut names = YUNET_STRIDES.iter().flat_map(|stride| YUNET_OUTPUTS.map(|name| format!("{name}_{stride}")));
    outputs.len() == 12 && names.all(|name| outputs.iter().any(|output| output.name == name))
}

/// The names of the weights; weights in another file cannot be installed.
fn initializers(from: &mut Cursor<&[u8]>, graph: &[Field]) -> Result<Vec<String>, ImportError> {
    let fail = |error: std::io::Error| ImportError::Onnx(error.to_string());
    let mut names = Vec::new();
    for content in graph.iter().filter(|field| field.number == INITIALIZER).filter_map(|field| field.content.clone()) {
        let fields = wire::fields(from, content).map_err(fail)?;
        let name = fields.iter().find(|field| field.number == TENSOR_NAME).and_then(|field| field.content.clone());
        let name = name.and_then(|range| from.get_ref().get(slice(&range)?)).unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        if fields.iter().any(|field| field.number == DATA_LOCATION && field.value == Some(1)) {
            return Err(ImportError::Onnx(format!("the weights {name} lie in another file, which is not supported")));
        }
        names.push(name);
    }
    Ok(names)
}

fn values(bytes: &[u8], graph: &[Field], number: u64) -> Result<Vec<ValueInfo>, ImportError> {
    let contents = graph.iter().filter(|field| field.number == number).filter_map(|field| field.content.as_ref());
    contents
        .map(|content| {
            let content = slice(content).and_then(|range| bytes.get(range)).unwrap_or_default();
            ValueInfo::decode(content).map_err(|_| ImportError::Onnx("an input or output is broken".to_owned()))
        })
        .collect()
}

/// The four dimensions of the only value; `None` is a free one.
fn image(values: &[ValueInfo], what: &str) -> Result<[Option<i64>; 4], ImportError> {
    let [value] = values else {
        return Err(ImportError::Onnx(format!("the model has {} {what}s, expected 1", values.len())));
    };
    let tensor = value.r#type.as_ref().and_then(|r#type| r#type.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| ImportError::Onnx(format!("the {what} {} is no tensor", value.name)))?;
    if tensor.elem_type != FLOAT {
        return Err(ImportError::Onnx(format!("the {what} {} is not float32", value.name)));
    }
    let size = |dim: &Dim| match &dim.value {
        Some(DimValue::Fixed(size)) if *size > 0 => Some(*size),
        _ => None,
    };
    let dims: Vec<_> = tensor.shape.iter().flat_map(|shape| &shape.dim).map(size).collect();
    let rank = dims.len();
    dims.try_into()
        .map_err(|_| ImportError::Onnx(format!("the {what} {} has {rank} dimensions, expected 4", value.name)))
}

fn is_ours(field: &Field, bytes: &[u8]) -> bool {
    let content = field.content.as_ref().filter(|_| field.number == METADATA_PROPS);
    let entry = content.and_then(slice).and_then(|range| Entry::decode(bytes.get(range)?).ok());
    entry.is_some_and(|entry| entry.key.starts_with(PREFIX))
}

fn slice(range: &Range<u64>) -> Option<Range<usize>> {
    Some(usize::try_from(range.start).ok()?..usize::try_from(range.end).ok()?)
}

fn shown(dims: [Option<i64>; 4]) -> String {
    format!("[{}]", dims.map(|dim| dim.map_or_else(|| "free".to_owned(), |size| size.to_string())).join(","))
}
