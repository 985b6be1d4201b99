//! ParseNet (facexlib's `parsing_parsenet`): says of each pixel of an aligned face which part of it it is.
//!
//! The graph takes `[N,3,512,512]` RGB in -1..1 and gives `[N,19,512,512]`, each class's logit; N is free. The second
//! picture that the network can paint, which nobody uses, has to be in the file and is left out.

use super::super::weights::WeightsError;
use super::blocks::{Map, Net};
use super::folded::Conv;
use crate::onnx::build::text;
use crate::onnx::ports::{INPUT, OUTPUT, Ports};

pub(super) const NAME: &str = "parsenet";

const CHANNELS: usize = 3;
/// What the network was trained for, and what its tensors do not tell.
const SIDE: u32 = 512;
/// 512 pixels halved so often are 4.
const MAX_LEVELS: usize = 7;

/// What a block does to the image's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Resize {
    Keep,
    Halve,
    Double,
}

/// Adds the network.
pub(super) fn build(net: &mut Net<'_>) -> Result<Ports, WeightsError> {
    let [channels, _, _, _] = net.weights.dims("encoder.0.conv2d.weight")?;
    let start = Map { value: INPUT.to_owned(), channels: CHANNELS };
    let mut map = plain(net, "encoder.0", &start, (channels, Resize::Keep))?;
    // Behind the first convolution, one halving each.
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

/// Two normalised convolutions, and the input added; where the size changes it goes through a convolution too.
fn residual(net: &mut Net<'_>, name: &str, from: &Map, resize: Resize) -> Result<Map, WeightsError> {
    let (first, second) = (format!("{name}.conv1"), format!("{name}.conv2"));
    let (skip, outputs) = if resize == Resize::Keep {
        (from.clone(), from.channels)
    } else {
        let [outputs, _, _, _] = net.weights.dims(&format!("{first}.conv2d.weight"))?;
        (plain(net, &format!("{name}.shortcut_func"), from, (outputs, resize))?, outputs)
    };
    // The second convolution halves, the first one doubles.
    let halved = if resize == Resize::Halve { resize } else { Resize::Keep };
    let doubled = if resize == Resize::Double { resize } else { Resize::Keep };
    let value = normalised(net, &first, from, (outputs, doubled))?;
    let value = net.leaky(&value);
    let value = normalised(net, &second, &Map { value, channels: outputs }, (outputs, halved))?;
    Ok(Map { value: net.add(&skip.value, &value, name), channels: outputs })
}

/// A convolution with bias, to so many channels.
fn plain(net: &mut Net<'_>, name: &str, from: &Map, (outputs, resize): (usize, Resize)) -> Result<Map, WeightsError> {
    let name = format!("{name}.conv2d");
    let (value, conv) = bordered(net, from, (outputs, resize));
    let weight = net.tensor(&format!("{name}.weight"), &[outputs, from.channels, 3, 3])?;
    let bias = net.tensor(&format!("{name}.bias"), &[outputs])?;
    Ok(Map { value: net.strided(&name, &[&value, &weight, &bias], conv), channels: outputs })
}

/// A convolution with the normalisation behind it.
fn normalised(net: &mut Net<'_>, name: &str, from: &Map, to: (usize, Resize)) -> Result<String, WeightsError> {
    let (value, conv) = bordered(net, from, to);
    net.conv_norm([&format!("{name}.conv2d"), &format!("{name}.norm.norm")], &value, conv)
}

/// `from`, doubled where asked for, with a mirrored border of one pixel, and the convolution to put on it. A block's
/// two branches share it.
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
