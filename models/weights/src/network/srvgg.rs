//! SRVGGNetCompact, the small networks of Real-ESRGAN: a row of convolutions at the size of the image, and a pixel shuffle
//! at the end. Their result is added to the image enlarged by nearest neighbour. The reference is
//! [`srvgg_arch.py`](https://github.com/xinntao/Real-ESRGAN/blob/master/realesrgan/archs/srvgg_arch.py).
//!
//! Even layers are convolutions, and odd layers are PReLUs. The last convolution gives the pixels of each block.

use super::blocks::Net;
use crate::checkpoint::WeightsError;
use crate::onnx::ports::{INPUT, OUTPUT};

/// The channels of an image: red, green, blue.
const CHANNELS: usize = 3;
const MAX_SCALE: usize = 8;

/// Adds the network; returns its scale.
pub(super) fn build(net: &mut Net<'_>) -> Result<u32, WeightsError> {
    let [features, _, _, _] = net.weights.dims("body.0.weight")?;
    // Where the highest number is odd, the convolution that should follow it is reported as missing.
    let last = net.length_of("body.")? / 2 * 2;
    let mut value = INPUT.to_owned();
    let mut channels = CHANNELS;
    for layer in (0..last).step_by(2) {
        value = net.conv(&format!("body.{layer}"), &value, [channels, features])?;
        value = net.prelu(&format!("body.{}", layer + 1), &value, features)?;
        channels = features;
    }
    let name = format!("body.{last}");
    let weight = format!("{name}.weight");
    let [outputs, _, _, _] = net.weights.dims(&weight)?;
    let scale = (1..=MAX_SCALE).find(|scale| CHANNELS * scale * scale == outputs);
    let scale = scale.ok_or_else(|| WeightsError::Tensor {
        name: weight,
        what: format!("gives {outputs} channels, which are no blocks of RGB pixels"),
    })?;
    value = net.conv(&name, &value, [channels, outputs])?;
    let detail = net.pixel_shuffle("shuffled", &value, scale);
    let base = net.nearest("nearest", INPUT, scale);
    net.add(&detail, &base, OUTPUT);
    Ok(scale as u32)
}
