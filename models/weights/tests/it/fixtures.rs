//! Small networks in the official layouts, which `models/reference/pytorch.py` writes, and the call to convert them.

use std::path::Path;

use remaster_weights::{ConvertError, Converted, Expected, WeightFile, convert};

/// The bytes of `models/reference/pytorch/NAME`.
pub fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("../reference/pytorch").join(name)).unwrap()
}

/// `bytes` as the weight file that the extension of `name` tells.
pub fn file(name: &str, bytes: Vec<u8>) -> WeightFile {
    if name.ends_with(".safetensors") { WeightFile::Safetensors(bytes) } else { WeightFile::Pth(bytes) }
}

/// What is expected of a file of which nothing is known.
pub const ANY: Expected<'static> = Expected { id: "net", source_sha256: "5e", scale: None, architecture: None };

/// Converts a file of which nothing is known.
pub fn take(file: WeightFile) -> Result<Converted, ConvertError> {
    convert(file, &ANY)
}

/// An ncnn network of two 1x1 convolutions and an enlargement by two. More channels in the `middle` make it larger.
pub fn ncnn(middle: usize) -> WeightFile {
    let weights = 3 * middle;
    let param = format!(
        "7767517\n4 4\nInput in 0 1 data\nConvolution a 1 1 data x 0={middle} 1=1 5=0 6={weights}\n\
         Convolution b 1 1 x y 0=3 1=1 5=0 6={weights}\nInterp up 1 1 y output 0=1 1=2.0 2=2.0\n"
    );
    let block = |_| [0; 4].into_iter().chain((0..weights).flat_map(|at| (at as f32).to_le_bytes()));
    WeightFile::Ncnn { param: param.into_bytes(), bin: (0..2).flat_map(block).collect() }
}
