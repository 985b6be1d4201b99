//! SRVGGNetCompact, Real-ESRGAN's small networks: convolutions in a row at the image's own size, a pixel shuffle at the
//! end, and what they make is added to the image enlarged by nearest neighbour.
//!
//! Even layers are convolutions, odd ones PReLUs; the last convolution gives the pixels of each block.

use super::super::weights::WeightsError;
use super::blocks::Net;
use crate::onnx::ports::{INPUT, OUTPUT};

pub(super) const NAME: &str = "srvgg";

/// Colours: red, green, blue.
const CHANNELS: usize = 3;
const MAX_SCALE: usize = 8;

/// Adds the network; returns its scale.
pub(super) fn build(net: &mut Net<'_>) -> Result<u32, WeightsError> {
    let [features, _, _, _] = net.weights.dims("body.0.weight")?;
    // An odd layer at the end has no convolution behind it, which then is missing.
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
