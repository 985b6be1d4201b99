//! Foreign `.onnx` files: accepted when they take and give one batch of RGB images, or when they are YuNet.
//!
//! The bytes are kept as they are, except for `remaster.*` metadata, which is cut out because a fresh description is
//! appended. The input has to be `[N,3,H,W]` float32 with N, H and W free; YuNet may have a fixed batch of one.

use std::io::Cursor;
use std::ops::Range;

use prost::Message;

use remaster_shared::catalogue::Kind;

use crate::architecture::Architecture;
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

/// Why an ONNX file is not accepted.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OnnxError {
    /// The file is broken, or its inputs, outputs or weights are not those of an image network.
    #[error("{0}")]
    Unfit(String),
    /// YuNet was expected, and the file has other outputs.
    #[error("the outputs are not those of YuNet")]
    NotYunet,
}

/// What a file turned out to be.
#[derive(Debug)]
pub(crate) struct Checked {
    /// The byte ranges that make up the installed model, before its fresh metadata.
    pub kept: Vec<Range<usize>>,
    /// Output pixels per input pixel along one side, where the file tells.
    pub scale: Option<u32>,
    /// What the network is for.
    pub kind: Kind,
    /// The architecture, where the outputs tell.
    pub architecture: Option<Architecture>,
}

/// The outputs that [YuNet](https://github.com/opencv/opencv_zoo/tree/main/models/face_detection_yunet) has at each of
/// its strides: class, objectness, box, key points.
const YUNET_OUTPUTS: [&str; 4] = ["cls", "obj", "bbox", "kps"];
const YUNET_STRIDES: [u32; 3] = [8, 16, 32];

/// Checks the inputs and outputs of the ONNX file `bytes`.
///
/// # Errors
/// A file that is broken, has its weights elsewhere, or does not take one image batch and give one.
pub(crate) fn check(bytes: &[u8]) -> Result<Checked, OnnxError> {
    let fail = |error: std::io::Error| OnnxError::Unfit(error.to_string());
    let mut from = Cursor::new(bytes);
    let fields = wire::fields(&mut from, 0..bytes.len() as u64).map_err(fail)?;
    if !fields.iter().any(|field| field.number == OPSET_IMPORT) {
        return Err(OnnxError::Unfit("not an ONNX model: it names no operator set".to_owned()));
    }
    let mut graphs = fields.iter().filter(|field| field.number == GRAPH).filter_map(|field| field.content.clone());
    let (Some(graph), None) = (graphs.next(), graphs.next()) else {
        return Err(OnnxError::Unfit("not an ONNX model: it has no single graph".to_owned()));
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
        return Err(OnnxError::Unfit(format!(
            "the input has the shape {}, expected [N,3,H,W] with N, H and W free",
            shown(input)
        )));
    }
    let kept = fields.iter().filter(|field| !is_ours(field, bytes)).filter_map(|field| slice(&field.whole)).collect();
    if yunet {
        return Ok(Checked { kept, scale: Some(1), kind: Kind::Detector, architecture: Some(Architecture::Yunet) });
    }
    let output = image(&outputs, "output")?;
    if output[1].is_some_and(|channels| channels != 3) {
        return Err(OnnxError::Unfit(format!("the output has the shape {}, expected 3 channels", shown(output))));
    }
    let entries = meta::entries_of(bytes).map_err(fail)?;
    let scale = entries.iter().rev().find(|entry| matches!(entry.key.as_str(), "remaster.scale" | "scale"));
    let scale = scale.and_then(|entry| entry.value.trim().parse().ok()).filter(|&scale| scale > 0);
    Ok(Checked { kept, scale, kind: Kind::Upscaler, architecture: None })
}

/// Cuts `bytes` down to the ranges `kept`, which are in order and do not overlap.
pub(crate) fn keep(bytes: &mut Vec<u8>, kept: &[Range<usize>]) {
    let mut end = 0;
    for range in kept {
        bytes.copy_within(range.clone(), end);
        end += range.len();
    }
    bytes.truncate(end);
}

fn is_yunet(outputs: &[ValueInfo]) -> bool {
    let mut names = YUNET_STRIDES.iter().flat_map(|stride| YUNET_OUTPUTS.map(|name| format!("{name}_{stride}")));
    outputs.len() == 12 && names.all(|name| outputs.iter().any(|output| output.name == name))
}

/// The names of the weights. A file whose weights lie in another file is refused, as only one file is converted.
fn initializers(from: &mut Cursor<&[u8]>, graph: &[Field]) -> Result<Vec<String>, OnnxError> {
    let fail = |error: std::io::Error| OnnxError::Unfit(error.to_string());
    let mut names = Vec::new();
    for content in graph.iter().filter(|field| field.number == INITIALIZER).filter_map(|field| field.content.clone()) {
        let fields = wire::fields(from, content).map_err(fail)?;
        let name = fields.iter().find(|field| field.number == TENSOR_NAME).and_then(|field| field.content.clone());
        let name = name.and_then(|range| from.get_ref().get(slice(&range)?)).unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        if fields.iter().any(|field| field.number == DATA_LOCATION && field.value == Some(1)) {
            return Err(OnnxError::Unfit(format!("the weights {name} lie in another file, which is not supported")));
        }
        names.push(name);
    }
    Ok(names)
}

fn values(bytes: &[u8], graph: &[Field], number: u64) -> Result<Vec<ValueInfo>, OnnxError> {
    let contents = graph.iter().filter(|field| field.number == number).filter_map(|field| field.content.as_ref());
    contents
        .map(|content| {
            let content = slice(content).and_then(|range| bytes.get(range)).unwrap_or_default();
            ValueInfo::decode(content).map_err(|_| OnnxError::Unfit("an input or output is broken".to_owned()))
        })
        .collect()
}

/// The four dimensions of the only value, which has to be float32; a free dimension is `None`.
fn image(values: &[ValueInfo], what: &str) -> Result<[Option<i64>; 4], OnnxError> {
    let [value] = values else {
        return Err(OnnxError::Unfit(format!("the model has {} {what}s, expected 1", values.len())));
    };
    let tensor = value.r#type.as_ref().and_then(|r#type| r#type.tensor_type.as_ref());
    let tensor = tensor.ok_or_else(|| OnnxError::Unfit(format!("the {what} {} is no tensor", value.name)))?;
    if tensor.elem_type != FLOAT {
        return Err(OnnxError::Unfit(format!("the {what} {} is not float32", value.name)));
    }
    let size = |dim: &Dim| match &dim.value {
        Some(DimValue::Fixed(size)) if *size > 0 => Some(*size),
        _ => None,
    };
    let dims: Vec<_> = tensor.shape.iter().flat_map(|shape| &shape.dim).map(size).collect();
    let rank = dims.len();
    dims.try_into()
        .map_err(|_| OnnxError::Unfit(format!("the {what} {} has {rank} dimensions, expected 4", value.name)))
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
