//! ParseNet (facexlib's `parsing_parsenet`): tells to which part of the face each pixel of an aligned face belongs. The
//! reference is [`parsenet.py`](https://github.com/xinntao/facexlib/blob/master/facexlib/parsing/parsenet.py).
//!
//! The graph takes `[N,3,512,512]` RGB in -1..1 and gives `[N,19,512,512]`, the logit of each class; N is free. The weights
//! of the image that the network can paint besides have to be in the file and are left out, as they are not used.

use super::blocks::{Map, Net};
use super::folded::Conv;
use crate::checkpoint::WeightsError;
use crate::onnx::build::text;
use crate::onnx::ports::{INPUT, OUTPUT, Ports};

const CHANNELS: usize = 3;
/// The side of the images that the network was trained for. Its tensors do not tell.
const SIDE: u32 = 512;
/// The most halvings: they turn 512 pixels into 4.
const MAX_LEVELS: usize = 7;

/// What a block does to the size of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resize {
    Keep,
    Halve,
    Double,
}

/// Adds the network; returns its ports.
pub(super) fn build(net: &mut Net<'_>) -> Result<Ports, WeightsError> {
    let [channels, _, _, _] = net.weights.dims("encoder.0.conv2d.weight")?;
    let start = Map { value: INPUT.to_owned(), channels: CHANNELS };
    let mut map = plain(net, "encoder.0", &start, (channels, Resize::Keep))?;
    // Every block of the encoder after the first convolution halves the size.
    let levels = net.length_of("encoder.")? - 1;
    if levels > MAX_LEVELS {
        return Err(WeightsError::Surplus(format!("encoder.{}.conv1.conv2d.weight", MAX_LEVELS + 1)));
    }
    for level in 1..=levels {
        map = residual(net, &format!("encoder.{level}"), &map, Resize::Halve)?;
    }
    let encoded = map.clone();
    for block in 0..net.length_of("body.")? {
        map = residual(net, &format!("body.{block}"), &map, Resize::Keep)?;
    }
    map.value = net.add(&encoded.value, &map.value, "parsed");
    for level in 0..levels {
        map = residual(net, &format!("decoder.{level}"), &map, Resize::Double)?;
    }
    let picture = "out_img_conv.conv2d";
    net.weights.pass_over(&format!("{picture}.weight"), &[CHANNELS, map.channels, 3, 3])?;
    net.weights.pass_over(&format!("{picture}.bias"), &[CHANNELS])?;
    let [classes, _, _, _] = net.weights.dims("out_mask_conv.conv2d.weight")?;
    let logits = plain(net, "out_mask_conv", &map, (classes, Resize::Keep))?;
    net.graph.node("Identity", OUTPUT, &[&logits.value], OUTPUT, Vec::new());
    Ok(Ports::squares(SIDE, classes))
}

/// A residual block: two normalised convolutions, to which the input is added. Where the size changes, the input goes
/// through a convolution too.
fn residual(net: &mut Net<'_>, name: &str, from: &Map, resize: Resize) -> Result<Map, WeightsError> {
    let (first, second) = (format!("{name}.conv1"), format!("{name}.conv2"));
    let (skip, outputs) = if resize == Resize::Keep {
        (from.clone(), from.channels)
    } else {
        let [outputs, _, _, _] = net.weights.dims(&format!("{first}.conv2d.weight"))?;
        (plain(net, &format!("{name}.shortcut_func"), from, (outputs, resize))?, outputs)
    };
    // A halving is done by the second convolution, a doubling by the first.
    let halved = if resize == Resize::Halve { resize } else { Resize::Keep };
    let doubled = if resize == Resize::Double { resize } else { Resize::Keep };
    let value = normalised(net, &first, from, (outputs, doubled))?;
    let value = net.leaky(&value);
    let value = normalised(net, &second, &Map { value, channels: outputs }, (outputs, halved))?;
    Ok(Map { value: net.add(&skip.value, &value, name), channels: outputs })
}

/// A convolution with bias to `outputs` channels.
fn plain(net: &mut Net<'_>, name: &str, from: &Map, (outputs, resize): (usize, Resize)) -> Result<Map, WeightsError> {
    let name = format!("{name}.conv2d");
    let (value, conv) = bordered(net, from, (outputs, resize));
    let weight = net.tensor(&format!("{name}.weight"), &[outputs, from.channels, 3, 3])?;
    let bias = net.tensor(&format!("{name}.bias"), &[outputs])?;
    Ok(Map { value: net.strided(&name, &[&value, &weight, &bias], conv), channels: outputs })
}

/// A convolution and the batch normalisation that follows it.
fn normalised(net: &mut Net<'_>, name: &str, from: &Map, to: (usize, Resize)) -> Result<String, WeightsError> {
    let (value, conv) = bordered(net, from, to);
    net.conv_norm([&format!("{name}.conv2d"), &format!("{name}.norm.norm")], &value, conv)
}

/// Gives `from` a mirrored border of one pixel, after doubling it where that is asked for; also returns the convolution
/// that goes on it. The two branches of a block share the result.
fn bordered(net: &mut Net<'_>, from: &Map, (outputs, resize): (usize, Resize)) -> (String, Conv) {
    let conv = Conv::same([from.channels, outputs], 3).inside();
    let (mut value, mut stride) = (from.value.clone(), 1);
    match resize {
        Resize::Keep => {}
        Resize::Halve => stride = 2,
        Resize::Double => {
            value = format!("{value}/doubled");
            if !net.graph.has_node(&value) {
                net.nearest(&value, &from.value, 2);
            }
        }
    }
    let bordered = format!("{value}/bordered");
    if !net.graph.has_node(&bordered) {
        let pads = net.graph.integers(&[0, 0, 1, 1, 0, 0, 1, 1]);
        net.graph.node("Pad", &bordered, &[&value, &pads], &bordered, vec![text("mode", "reflect")]);
    }
    (bordered, conv.every(stride))
}
