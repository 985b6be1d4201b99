//! RetinaFace over ResNet-50 (facexlib's `detection_Resnet50_Final`): finds faces and five landmarks in each. The paper is
//! [arXiv:1905.00641](https://arxiv.org/abs/1905.00641), the reference
//! [`retinaface_net.py`](https://github.com/xinntao/facexlib/blob/master/facexlib/detection/retinaface_net.py).
//!
//! The graph takes `[N,3,H,W]` BGR in 0..255 minus the mean (104, 117, 123), for any N, H and W. It gives the raw heads
//! with one row per anchor: `bbox` `[N,A,4]`, `conf` `[N,A,2]` (the probabilities of background and face) and `landmarks`
//! `[N,A,10]`. Anchors are ordered by stride (8, 16, 32), then row by row, with two per cell; a map has
//! `ceil(H / stride)` rows.

use super::blocks::{Map, Net};
use super::folded::Conv;
use crate::checkpoint::WeightsError;
use crate::onnx::build::{int, ints, text};
use crate::onnx::ports::{INPUT, Ports};

const CHANNELS: usize = 3;
/// The number of anchors per cell.
const ANCHORS: usize = 2;
/// Each head: its name in the weights, the name of its output, and its values per anchor.
const HEADS: [(&str, &str, usize); 3] =
    [("BboxHead", "bbox", 4), ("ClassHead", CONFIDENCE, 2), ("LandmarkHead", "landmarks", 10)];
const CONFIDENCE: &str = "conf";
/// Networks of the family that are at most so wide use LeakyReLU; wider ones, such as those over ResNet, use ReLU.
const LEAKY_WIDTH: usize = 64;

/// Adds the network; returns its ports.
pub(super) fn build(net: &mut Net<'_>) -> Result<Ports, WeightsError> {
    let levels = body(net)?;
    let mut features = pyramid(net, levels)?;
    for (level, map) in features.iter_mut().enumerate() {
        *map = context(net, &format!("ssh{}", level + 1), map)?;
    }
    for (head, out, values) in HEADS {
        let mut rows = Vec::with_capacity(features.len());
        for (level, map) in features.iter().enumerate() {
            rows.push(self::head(net, &format!("{head}.{level}.conv1x1"), map, values)?);
        }
        let softmax = out == CONFIDENCE;
        let logits = format!("{out}/logits");
        let joined = net.concat(if softmax { &logits } else { out }, &rows);
        if softmax {
            net.graph.node("Softmax", out, &[&joined], out, vec![int("axis", 2)]);
        }
    }
    Ok(Ports::rows(&HEADS.map(|(_, out, values)| (out, values))))
}

/// Adds the ResNet; returns the feature maps of its last three layers, at strides 8, 16 and 32.
fn body(net: &mut Net<'_>) -> Result<[Map; 3], WeightsError> {
    let [channels, _, _, _] = net.weights.dims("body.conv1.weight")?;
    let first = Conv::same([CHANNELS, channels], 7).every(2);
    let value = net.conv_norm(["body.conv1", "body.bn1"], INPUT, first)?;
    let value = net.relu(&value);
    let attributes = vec![ints("kernel_shape", &[3; 2]), ints("pads", &[1; 4]), ints("strides", &[2; 2])];
    net.graph.node("MaxPool", "body.maxpool", &[&value], "body.maxpool", attributes);
    let map = Map { value: "body.maxpool".to_owned(), channels };
    let first = layer(net, 1, &map)?;
    let second = layer(net, 2, &first)?;
    let third = layer(net, 3, &second)?;
    let fourth = layer(net, 4, &third)?;
    Ok([second, third, fourth])
}

/// A layer of several blocks. Every layer but the first halves the size.
fn layer(net: &mut Net<'_>, number: usize, from: &Map) -> Result<Map, WeightsError> {
    let prefix = format!("body.layer{number}.");
    let stride = if number > 1 { 2 } else { 1 };
    let mut map = bottleneck(net, &format!("{prefix}0"), from, Some(stride))?;
    for block in 1..net.length_of(&prefix)? {
        map = bottleneck(net, &format!("{prefix}{block}"), &map, None)?;
    }
    Ok(map)
}

/// A bottleneck block: convolutions of 1x1, 3x3 and 1x1, to which the input is added. The first block of a layer changes
/// the channels, and the size by the stride `first`.
fn bottleneck(net: &mut Net<'_>, name: &str, from: &Map, first: Option<usize>) -> Result<Map, WeightsError> {
    let inputs = from.channels;
    let [middle, _, _, _] = net.weights.dims(&format!("{name}.conv1.weight"))?;
    let [outputs, stride] = match first {
        Some(stride) => [net.weights.dims::<4>(&format!("{name}.conv3.weight"))?[0], stride],
        None => [inputs, 1],
    };
    let mut value = from.value.clone();
    for (number, conv) in [
        (1, Conv::same([inputs, middle], 1)),
        (2, Conv::same([middle, middle], 3).every(stride)),
        (3, Conv::same([middle, outputs], 1)),
    ] {
        value = net.conv_norm([&format!("{name}.conv{number}"), &format!("{name}.bn{number}")], &value, conv)?;
        if number < 3 {
            value = net.relu(&value);
        }
    }
    let mut skip = from.value.clone();
    if first.is_some() {
        let conv = Conv::same([inputs, outputs], 1).every(stride);
        skip = net.conv_norm([&format!("{name}.downsample.0"), &format!("{name}.downsample.1")], &skip, conv)?;
    }
    let sum = net.add(&value, &skip, name);
    Ok(Map { value: net.relu(&sum), channels: outputs })
}

/// The feature pyramid, in which each level also sees the coarser ones.
fn pyramid(net: &mut Net<'_>, levels: [Map; 3]) -> Result<[Map; 3], WeightsError> {
    let name = "fpn.output1.0.weight";
    let [width, _, _, _] = net.weights.dims(name)?;
    if width <= LEAKY_WIDTH || width % 4 != 0 {
        let what = format!("gives {width} channels, expected a multiple of 4 above {LEAKY_WIDTH}");
        return Err(WeightsError::Tensor { name: name.to_owned(), what });
    }
    let mut maps = levels;
    for (level, map) in maps.iter_mut().enumerate() {
        let conv = Conv::same([map.channels, width], 1);
        *map = activated(net, &format!("fpn.output{}", level + 1), &map.value, conv)?;
    }
    for level in [1, 0] {
        let name = format!("fpn.merge{}", level + 1);
        let larger = as_large(net, &format!("{name}/larger"), &maps[level + 1].value, &maps[level].value);
        let sum = net.add(&maps[level].value, &larger, &format!("{name}/sum"));
        maps[level] = activated(net, &name, &sum, Conv::same([width, width], 3))?;
    }
    Ok(maps)
}

/// Enlarges `from` by nearest neighbour to the size of `like`, which has as many channels.
fn as_large(net: &mut Net<'_>, name: &str, from: &str, like: &str) -> String {
    let shape = format!("{name}/shape");
    net.graph.node("Shape", &shape, &[like], &shape, Vec::new());
    let attributes = vec![
        text("coordinate_transformation_mode", "asymmetric"),
        text("mode", "nearest"),
        text("nearest_mode", "floor"),
    ];
    net.graph.node("Resize", name, &[from, "", "", &shape], name, attributes);
    name.to_owned()
}

/// The context module ([SSH](https://arxiv.org/abs/1708.03979)): receptive fields of 3, 5 and 7 pixels side by side.
fn context(net: &mut Net<'_>, name: &str, from: &Map) -> Result<Map, WeightsError> {
    let width = from.channels;
    let (half, quarter) = (width / 2, width / 4);
    let part = |part: &str| format!("{name}.{part}");
    let three = normalised(net, &part("conv3X3"), &from.value, Conv::same([width, half], 3))?;
    let small = activated(net, &part("conv5X5_1"), &from.value, Conv::same([width, quarter], 3))?;
    let same = Conv::same([quarter, quarter], 3);
    let five = normalised(net, &part("conv5X5_2"), &small.value, same)?;
    let small = activated(net, &part("conv7X7_2"), &small.value, same)?;
    let seven = normalised(net, &part("conv7x7_3"), &small.value, same)?;
    let joined = net.concat(name, &[three, five, seven]);
    Ok(Map { value: net.relu(&joined), channels: width })
}

/// The convolution `NAME.0` and the batch normalisation `NAME.1`.
fn normalised(net: &mut Net<'_>, name: &str, from: &str, conv: Conv) -> Result<String, WeightsError> {
    net.conv_norm([&format!("{name}.0"), &format!("{name}.1")], from, conv)
}

/// As [`normalised`], followed by ReLU.
fn activated(net: &mut Net<'_>, name: &str, from: &str, conv: Conv) -> Result<Map, WeightsError> {
    let value = normalised(net, name, from, conv)?;
    Ok(Map { value: net.relu(&value), channels: conv.channels[1] })
}

/// The head of one level, as rows of `values` numbers per anchor.
fn head(net: &mut Net<'_>, name: &str, from: &Map, values: usize) -> Result<String, WeightsError> {
    let value = net.conv_sized(name, &from.value, [from.channels, ANCHORS * values], 1)?;
    let (last, rows) = (format!("{name}/last"), format!("{name}/rows"));
    net.graph.node("Transpose", &last, &[&value], &last, vec![ints("perm", &[0, 2, 3, 1])]);
    let shape = net.graph.integers(&[0, -1, values as i64]);
    net.graph.node("Reshape", &rows, &[&last, &shape], &rows, Vec::new());
    Ok(rows)
}
