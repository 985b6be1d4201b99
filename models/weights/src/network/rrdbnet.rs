//! RRDBNet, the generator of ESRGAN and Real-ESRGAN: residual in residual dense blocks, followed by two enlargements by 2.
//! The reference is [`rrdbnet_arch.py`](https://github.com/XPixelGroup/BasicSR/blob/master/basicsr/archs/rrdbnet_arch.py);
//! the paper is [arXiv:1809.00219](https://arxiv.org/abs/1809.00219).
//!
//! Real-ESRGAN's x2 and x1 networks are the same network after a pixel unshuffle by 2 and 4, so that the scale is 4 over the
//! unshuffle. Their graphs pad the image to whole blocks and crop the result, so that callers may give any size.

use super::blocks::Net;
use crate::checkpoint::WeightsError;
use crate::onnx::build::{int, text};
use crate::onnx::ports::{INPUT, OUTPUT};

/// The channels of an image: red, green, blue.
const CHANNELS: usize = 3;
/// The scale of the two enlargements together.
const ENLARGED: usize = 4;
const KERNEL_BYTES: usize = 3 * 3 * size_of::<f32>();

/// The size of the network, as the shapes of its tensors tell it.
#[derive(Debug, Clone, Copy)]
struct Size {
    features: usize,
    grow: usize,
    blocks: usize,
    /// The side of the blocks of pixels that the unshuffle before the first layer turns into channels: 1, 2 or 4.
    unshuffle: usize,
}

impl Size {
    fn of(net: &Net<'_>) -> Result<Self, WeightsError> {
        let first = "conv_first.weight";
        let [features, inputs, _, _] = net.weights.dims(first)?;
        let [grow, _, _, _] = net.weights.dims("body.0.rdb1.conv1.weight")?;
        let unshuffle = [1, 2, 4].into_iter().find(|side| CHANNELS * side * side == inputs);
        let unshuffle = unshuffle.ok_or_else(|| WeightsError::Tensor {
            name: first.to_owned(),
            what: format!("takes {inputs} channels; known are 3, 12 and 48, which are RGB by blocks of 1, 2 and 4"),
        })?;
        Ok(Self { features, grow, blocks: net.length_of("body.")?, unshuffle })
    }
}

/// Adds the network; returns its scale.
pub(super) fn build(net: &mut Net<'_>) -> Result<u32, WeightsError> {
    let size = Size::of(net)?;
    let (features, same) = (size.features, [size.features; 2]);
    let scale = ENLARGED / size.unshuffle;

    let mut value = first(net, size)?;
    let shallow = value.clone();
    for block in 0..size.blocks {
        value = rrdb(net, &format!("body.{block}"), &value, size)?;
    }
    let deep = net.conv("conv_body", &value, same)?;
    value = net.add(&shallow, &deep, "features");
    for name in ["conv_up1", "conv_up2"] {
        let enlarged = net.nearest(&format!("{name}/nearest"), &value, 2);
        value = net.conv(name, &enlarged, same)?;
        value = net.leaky(&value);
    }
    value = net.conv("conv_hr", &value, same)?;
    value = net.leaky(&value);

    let weight = net.tensor("conv_last.weight", &[CHANNELS, features, 3, 3])?;
    let bias = net.tensor("conv_last.bias", &[CHANNELS])?;
    let whole = size.unshuffle == 1;
    let last = if whole { OUTPUT } else { "conv_last" };
    net.conv_node_to("conv_last", 3, &[&value, &weight, &bias], last);
    if !whole {
        crop(net, last, scale);
    }
    Ok(scale as u32)
}

/// Adds the first layer, and the pixel unshuffle before it where there is one.
fn first(net: &mut Net<'_>, Size { features, unshuffle, .. }: Size) -> Result<String, WeightsError> {
    let name = "conv_first";
    if unshuffle == 1 {
        return net.conv(name, INPUT, [CHANNELS, features]);
    }
    let square = unshuffle * unshuffle;
    let inputs = CHANNELS * square;
    let values = net.weights.take("conv_first.weight", &[features, inputs, 3, 3])?;
    let padded = pad(net, unshuffle);
    let blocks = "unshuffled";
    net.graph.node("SpaceToDepth", blocks, &[&padded], blocks, vec![int("blocksize", unshuffle as i64)]);
    // PyTorch's unshuffle orders channels by colour and then by pixel, ONNX's by pixel and then by colour. The weights are
    // reordered to fit the latter.
    let kernels: Vec<&[u8]> = values.chunks_exact(KERNEL_BYTES).collect();
    let ordered = kernels.chunks_exact(inputs).flat_map(|output| {
        let place = move |at: usize| output[(at % CHANNELS) * square + at / CHANNELS];
        (0..inputs).map(place)
    });
    let weight = "conv_first.weight";
    let dims = vec![features as i64, inputs as i64, 3, 3];
    net.graph.tensor(weight, dims, ordered.flatten().copied().collect());
    let bias = net.tensor("conv_first.bias", &[features])?;
    Ok(net.conv_node(name, 3, &[blocks, weight, &bias]))
}

/// Pads the image to whole blocks with its mirror image, as Real-ESRGAN does. A mirror image needs an image that is at least
/// as large as a block, so a smaller one is padded to that by repeating its last row and column.
fn pad(net: &mut Net<'_>, block: usize) -> String {
    let graph = &mut net.graph;
    let block = block as i64;
    let (none, sides) = (graph.integers(&[0, 0, 0, 0]), graph.integers(&[1, 1, block, block]));
    graph.node("Shape", "shape", &[INPUT], "shape", Vec::new());
    graph.node("Sub", "small/missing", &[&sides, "shape"], "small/missing", Vec::new());
    graph.node("Max", "small/end", &["small/missing", &none], "small/end", Vec::new());
    graph.node("Concat", "small/pads", &[&none, "small/end"], "small/pads", vec![int("axis", 0)]);
    graph.node("Pad", "small", &[INPUT, "small/pads"], "small", vec![text("mode", "edge")]);

    // Batch and channels are counted modulo 1, and so are never padded.
    graph.node("Shape", "padded/shape", &["small"], "padded/shape", Vec::new());
    graph.node("Mod", "padded/over", &["padded/shape", &sides], "padded/over", Vec::new());
    graph.node("Sub", "padded/missing", &[&sides, "padded/over"], "padded/missing", Vec::new());
    graph.node("Mod", "padded/end", &["padded/missing", &sides], "padded/end", Vec::new());
    graph.node("Concat", "padded/pads", &[&none, "padded/end"], "padded/pads", vec![int("axis", 0)]);
    graph.node("Pad", "padded", &["small", "padded/pads"], "padded", vec![text("mode", "reflect")]);
    "padded".to_owned()
}

/// Cuts `from` to `scale` times the size that the image had before [`pad`].
fn crop(net: &mut Net<'_>, from: &str, scale: usize) {
    let graph = &mut net.graph;
    let (axes, none) = (graph.integers(&[0, 1, 2, 3]), graph.integers(&[0, 0, 0, 0]));
    let scales = graph.integers(&[1, 1, scale as i64, scale as i64]);
    graph.node("Mul", "cropped/shape", &["shape", &scales], "cropped/shape", Vec::new());
    graph.node("Slice", "cropped", &[from, &none, "cropped/shape", &axes], OUTPUT, Vec::new());
}

/// A residual in residual dense block: three dense blocks, of whose result 0.2 is added to the input.
fn rrdb(net: &mut Net<'_>, name: &str, from: &str, size: Size) -> Result<String, WeightsError> {
    let mut value = from.to_owned();
    for dense in ["rdb1", "rdb2", "rdb3"] {
        value = rdb(net, &format!("{name}.{dense}"), &value, size)?;
    }
    Ok(net.add_fifth(from, &value, name))
}

/// A residual dense block: each of its five convolutions sees the input and the results of all those before it. The input
/// is added to 0.2 of the fifth result.
fn rdb(net: &mut Net<'_>, name: &str, from: &str, size: Size) -> Result<String, WeightsError> {
    let Size { features, grow, .. } = size;
    let mut seen = vec![from.to_owned()];
    let mut input = from.to_owned();
    for layer in 1..=4 {
        let conv = net.conv(&format!("{name}.conv{layer}"), &input, [features + (layer - 1) * grow, grow])?;
        seen.push(net.leaky(&conv));
        input = net.concat(&format!("{name}.seen{layer}"), &seen);
    }
    let fifth = net.conv(&format!("{name}.conv5"), &input, [features + 4 * grow, features])?;
    Ok(net.add_fifth(from, &fifth, name))
}
