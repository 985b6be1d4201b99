//! The one way from the bytes of a weight file to an ONNX model that describes itself.

use prost::Message;
use remaster_shared::catalogue::Kind;

use crate::architecture::Architecture;
use crate::checkpoint::{self, WeightsError};
use crate::ncnn::{self, NcnnError};
use crate::network;
use crate::onnx::meta::Description;
use crate::onnx_file::{self, OnnxError};

/// The architecture of an upscaler that neither the file nor the caller names.
const UNNAMED: &str = "custom";

/// The bytes of a weight file, by its format. They are owned so that they can be freed before the model is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WeightFile {
    /// An [ncnn](https://github.com/Tencent/ncnn/wiki/param-and-model-file-structure) network.
    Ncnn {
        /// The text `.param`, which names the layers.
        param: Vec<u8>,
        /// The `.bin`, which holds their weights.
        bin: Vec<u8>,
    },
    /// A PyTorch checkpoint as `torch.save` writes it.
    Pth(Vec<u8>),
    /// A [safetensors](https://github.com/huggingface/safetensors#format) file with the tensor names of PyTorch.
    Safetensors(Vec<u8>),
    /// An ONNX model.
    Onnx(Vec<u8>),
}

/// What the caller knows of a weight file. What the file itself says has to agree with it.
#[derive(Debug, Clone, Copy)]
pub struct Expected<'a> {
    /// The id that the model describes itself by.
    pub id: &'a str,
    /// The SHA-256 of the weight file, in hexadecimal, for the description.
    pub source_sha256: &'a str,
    /// Output pixels per input pixel along one side.
    pub scale: Option<u32>,
    /// The network's architecture, such as `rrdbnet`.
    pub architecture: Option<&'a str>,
}

/// A model that can be written to a file as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Converted {
    /// The ONNX file. An upscaler takes `[N,3,H,W]` float32 RGB in 0..1 and gives `[N,3,S*H,S*W]` in the same range,
    /// with N, H and W free and S the scale.
    pub onnx: Vec<u8>,
    /// What the model says about itself; it is part of the file.
    pub description: Description,
}

/// Why a weight file does not become a model.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ConvertError {
    /// An ncnn network that is broken, or has a layer that is not translated.
    #[error("ncnn: {0}")]
    Ncnn(#[from] NcnnError),
    /// A `.pth` or `.safetensors` file that is broken, or not of a known network; the tensor is named.
    #[error("weights: {0}")]
    Weights(#[from] WeightsError),
    /// An ONNX file that is broken, or does not take and give one RGB image batch.
    #[error("onnx: {0}")]
    Onnx(#[from] OnnxError),
    /// Neither the file nor the caller tells the scale.
    #[error("the file does not tell its scale: give it with --scale")]
    ScaleUnknown,
    /// The file has another scale than the caller expects.
    #[error("the scale is {got}, expected {expected}")]
    ScaleDiffers {
        /// The scale that the caller expects.
        expected: u32,
        /// The scale of the file.
        got: u32,
    },
    /// The file has another architecture than the caller expects.
    #[error("the network is {got}, expected {expected}")]
    ArchitectureDiffers {
        /// The architecture that the caller expects.
        expected: String,
        /// The architecture of the file.
        got: Architecture,
    },
}

/// Converts `file` to an ONNX model.
///
/// # Errors
/// A broken or unknown file, of which the tensor, the layer or the input is named; a scale that nobody tells; a scale
/// or an architecture that is not the expected one.
pub fn convert(file: WeightFile, expected: &Expected<'_>) -> Result<Converted, ConvertError> {
    match file {
        WeightFile::Ncnn { param, bin } => from_ncnn(param, bin, expected),
        WeightFile::Pth(bytes) => from_checkpoint(bytes, checkpoint::read_pth, expected),
        WeightFile::Safetensors(bytes) => from_checkpoint(bytes, checkpoint::read_safetensors, expected),
        WeightFile::Onnx(bytes) => from_onnx(bytes, expected),
    }
}

impl Expected<'_> {
    /// An upscaler of that scale; the file may tell another kind and another architecture.
    fn upscaler(&self, scale: u32) -> Description {
        Description {
            id: self.id.to_owned(),
            kind: Kind::Upscaler,
            architecture: self.architecture.unwrap_or(UNNAMED).to_owned(),
            scale,
            source_sha256: self.source_sha256.to_owned(),
        }
    }

    fn check_scale(&self, got: u32) -> Result<(), ConvertError> {
        match self.scale {
            Some(expected) if expected != got => Err(ConvertError::ScaleDiffers { expected, got }),
            _ => Ok(()),
        }
    }

    fn check_architecture(&self, got: Architecture) -> Result<(), ConvertError> {
        match self.architecture {
            Some(expected) if expected != got.as_str() => {
                Err(ConvertError::ArchitectureDiffers { expected: expected.to_owned(), got })
            }
            _ => Ok(()),
        }
    }
}

fn from_ncnn(param: Vec<u8>, bin: Vec<u8>, expected: &Expected<'_>) -> Result<Converted, ConvertError> {
    let text = std::str::from_utf8(&param).map_err(|_| NcnnError::Binary)?;
    let network = ncnn::translate(text, &bin)?;
    expected.check_scale(network.scale)?;
    drop((param, bin));
    let description = expected.upscaler(network.scale);
    let onnx = network.into_model(&description).encode_to_vec();
    Ok(Converted { onnx, description })
}

fn from_checkpoint(
    bytes: Vec<u8>,
    read: fn(&[u8]) -> Result<checkpoint::Weights<'_>, WeightsError>,
    expected: &Expected<'_>,
) -> Result<Converted, ConvertError> {
    let network = network::build(read(&bytes)?)?;
    expected.check_scale(network.scale)?;
    expected.check_architecture(network.architecture)?;
    drop(bytes);
    let upscaler = expected.upscaler(network.scale);
    let description = Description { kind: network.kind, architecture: network.architecture.to_string(), ..upscaler };
    let onnx = network.into_model(&description).encode_to_vec();
    Ok(Converted { onnx, description })
}

fn from_onnx(mut bytes: Vec<u8>, expected: &Expected<'_>) -> Result<Converted, ConvertError> {
    let checked = onnx_file::check(&bytes)?;
    if let Some(found) = checked.scale {
        expected.check_scale(found)?;
    }
    let scale = checked.scale.or(expected.scale).ok_or(ConvertError::ScaleUnknown)?;
    let mut description = expected.upscaler(scale);
    description.kind = checked.kind;
    match checked.architecture {
        Some(architecture) => {
            expected.check_architecture(architecture)?;
            description.architecture = architecture.to_string();
        }
        None if expected.architecture == Some(Architecture::Yunet.as_str()) => return Err(OnnxError::NotYunet.into()),
        None => {}
    }
    onnx_file::keep(&mut bytes, &checked.kept);
    bytes.extend(description.encode());
    Ok(Converted { onnx: bytes, description })
}
