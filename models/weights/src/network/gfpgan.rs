//! GFPGAN v1 "clean" (1.2, 1.3, 1.4): a U-Net reads the damaged face and steers a StyleGAN2 decoder, which paints it anew.
//! The reference is [`gfpganv1_clean_arch.py`](https://github.com/TencentARC/GFPGAN/blob/master/gfpgan/archs/gfpganv1_clean_arch.py);
//! the paper is [arXiv:2101.04061](https://arxiv.org/abs/2101.04061).
//!
//! The graph takes `[N,3,S,S]` RGB in -1..1 and gives the same, of which some values lie a little beyond -1..1. S is 512 in
//! the official files, and N is free. Two things differ from the reference and compute the same:
//! - A modulated convolution scales its input by the style and its output by the demodulation, so that its weights are
//!   constant and a batch of faces shares them.
//! - The noise is that of the buffers in the file, so that a result can be repeated.
//!
//! Parts that only training uses (the style MLP and the RGB outputs of the U-Net) have to be in the file and are left out.

use super::blocks::{Map, Net};
use super::folded::floats;
use crate::checkpoint::WeightsError;
use crate::onnx::build::{int, ints, text};
use crate::onnx::ports::{INPUT, OUTPUT, Ports};

const CHANNELS: usize = 3;
/// Both halves of the network meet at 4x4 pixels.
const SMALLEST: usize = 4;
const MAX_LEVELS: usize = 8;
/// The layers of the unused style MLP; even numbers are activations.
const STYLE_MLP: [usize; 8] = [1, 3, 5, 7, 9, 11, 13, 15];
const DECODER: &str = "stylegan_decoder";

/// What the U-Net steers the decoder with.
struct Steering {
    /// The value `[N, latents * features]`.
    styles: String,
    features: usize,
    /// The scale and the shift of the features of each level, from 8x8 pixels upwards.
    conditions: Vec<(Map, Map)>,
}

/// Adds the network; returns its ports.
pub(super) fn build(net: &mut Net<'_>) -> Result<Ports, WeightsError> {
    let levels = net.length_of("conv_body_down.")?;
    if levels == 0 {
        return Err(WeightsError::Missing("conv_body_down.0.conv1.weight".to_owned()));
    }
    if levels > MAX_LEVELS {
        return Err(WeightsError::Surplus(format!("conv_body_down.{MAX_LEVELS}.conv1.weight")));
    }
    let steering = encode(net, levels)?;
    decode(net, &steering)?;
    Ok(Ports::squares((SMALLEST << levels) as u32, CHANNELS))
}

/// Adds the U-Net.
fn encode(net: &mut Net<'_>, levels: usize) -> Result<Steering, WeightsError> {
    let [channels, _, _, _] = net.weights.dims("conv_body_first.weight")?;
    let value = net.conv_sized("conv_body_first", INPUT, [CHANNELS, channels], 1)?;
    let mut map = Map { value: net.leaky(&value), channels };
    let mut skips = Vec::with_capacity(levels);
    for level in 0..levels {
        map = residual(net, &format!("conv_body_down.{level}"), &map, halve)?;
        skips.push(map.clone());
    }
    let value = net.conv("final_conv", &map.value, [map.channels; 2])?;
    map.value = net.leaky(&value);

    let latents = 2 * levels + 2;
    let inputs = map.channels * SMALLEST * SMALLEST;
    let [outputs, _] = net.weights.dims("final_linear.weight")?;
    if outputs % latents != 0 {
        let what = format!("gives {outputs} values, which are no {latents} styles");
        return Err(WeightsError::Tensor { name: "final_linear.weight".to_owned(), what });
    }
    net.graph.node("Flatten", "flat", &[&map.value], "flat", vec![int("axis", 1)]);
    let styles = linear(net, "final_linear", "flat", [inputs, outputs])?;

    let mut conditions = Vec::with_capacity(levels);
    for (level, skip) in skips.iter().rev().enumerate() {
        let name = format!("conv_body_up.{level}");
        map.value = net.add(&map.value, &skip.value, &format!("{name}/joined"));
        map = residual(net, &name, &map, double)?;
        let scale = condition(net, &format!("condition_scale.{level}"), &map)?;
        let shift = condition(net, &format!("condition_shift.{level}"), &map)?;
        conditions.push((scale, shift));
        net.weights.pass_over(&format!("toRGB.{level}.weight"), &[CHANNELS, map.channels, 1, 1])?;
        net.weights.pass_over(&format!("toRGB.{level}.bias"), &[CHANNELS])?;
    }
    Ok(Steering { styles, features: outputs / latents, conditions })
}

/// Adds the StyleGAN2 decoder. The U-Net steers the second half of the features of each level.
fn decode(net: &mut Net<'_>, steering: &Steering) -> Result<(), WeightsError> {
    let features = steering.features;
    for layer in STYLE_MLP {
        net.weights.pass_over(&format!("{DECODER}.style_mlp.{layer}.weight"), &[features; 2])?;
        net.weights.pass_over(&format!("{DECODER}.style_mlp.{layer}.bias"), &[features])?;
    }
    let constant = format!("{DECODER}.constant_input.weight");
    let [_, channels, _, _] = net.weights.dims(&constant)?;
    let value = net.tensor(&constant, &[1, channels, SMALLEST, SMALLEST])?;
    let start = Map { value, channels };

    let latent = latent(net, steering, 0);
    let mut map = style_conv(net, "style_conv1", &start, &latent, Noise { layer: 0, side: SMALLEST, enlarge: false })?;
    let latent = self::latent(net, steering, 1);
    let mut image = to_rgb(net, &map, &latent, &format!("{DECODER}.to_rgb1"))?;
    for (level, (scale, shift)) in steering.conditions.iter().enumerate() {
        let side = SMALLEST << (level + 1);
        let first = 2 * level + 1;
        let noise = |layer, enlarge| Noise { layer, side, enlarge };
        let latent = self::latent(net, steering, first);
        map = style_conv(net, &format!("style_convs.{}", 2 * level), &map, &latent, noise(first, true))?;
        map = steer(net, level, &map, scale, shift)?;
        let latent = self::latent(net, steering, first + 1);
        map = style_conv(net, &format!("style_convs.{}", 2 * level + 1), &map, &latent, noise(first + 1, false))?;
        let latent = self::latent(net, steering, first + 2);
        let name = format!("to_rgbs.{level}");
        let detail = to_rgb(net, &map, &latent, &format!("{DECODER}.{name}"))?;
        let larger = double(net, &format!("{name}/image"), &image);
        let last = level + 1 == steering.conditions.len();
        let sum = format!("{DECODER}.{name}/sum");
        image = net.add(&detail, &larger, if last { OUTPUT } else { &sum });
    }
    Ok(())
}

/// A residual block: two convolutions with a change of size between them, and a 1x1 convolution beside them.
fn residual(
    net: &mut Net<'_>,
    name: &str,
    from: &Map,
    resize: fn(&mut Net<'_>, &str, &str) -> String,
) -> Result<Map, WeightsError> {
    let (inputs, conv2) = (from.channels, format!("{name}.conv2"));
    let [outputs, _, _, _] = net.weights.dims(&format!("{conv2}.weight"))?;
    let value = net.conv(&format!("{name}.conv1"), &from.value, [inputs; 2])?;
    let value = net.leaky(&value);
    let value = resize(net, &format!("{name}/resized"), &value);
    let value = net.conv(&conv2, &value, [inputs, outputs])?;
    let value = net.leaky(&value);

    let skip = resize(net, &format!("{name}/skip"), &from.value);
    let weight = net.tensor(&format!("{name}.skip.weight"), &[outputs, inputs, 1, 1])?;
    let skip = net.conv_node(&format!("{name}.skip"), 1, &[&skip, &weight]);
    Ok(Map { value: net.add(&value, &skip, name), channels: outputs })
}

/// Two convolutions that turn features of the U-Net into a scale or a shift.
fn condition(net: &mut Net<'_>, name: &str, from: &Map) -> Result<Map, WeightsError> {
    let [outputs, _, _, _] = net.weights.dims(&format!("{name}.2.weight"))?;
    let value = net.conv(&format!("{name}.0"), &from.value, [from.channels; 2])?;
    let value = net.leaky(&value);
    let value = net.conv(&format!("{name}.2"), &value, [from.channels, outputs])?;
    Ok(Map { value, channels: outputs })
}

/// The spatial feature transform ([arXiv:1804.02815](https://arxiv.org/abs/1804.02815)) of the second half of the channels.
fn steer(net: &mut Net<'_>, level: usize, map: &Map, scale: &Map, shift: &Map) -> Result<Map, WeightsError> {
    let half = map.channels / 2;
    for (name, condition) in [("scale", scale), ("shift", shift)] {
        if condition.channels * 2 != map.channels {
            let what = format!("gives {} channels, expected half of {}", condition.channels, map.channels);
            return Err(WeightsError::Tensor { name: format!("condition_{name}.{level}.2.weight"), what });
        }
    }
    let name = |part: &str| format!("sft.{level}/{part}");
    let (same, steered) = (name("same"), name("steered"));
    net.slice(&same, &map.value, [0, half]);
    net.slice(&steered, &map.value, [half, map.channels]);
    let (scaled, moved) = (name("scaled"), name("moved"));
    net.graph.node("Mul", &scaled, &[&steered, &scale.value], &scaled, Vec::new());
    net.add(&scaled, &shift.value, &moved);
    let value = net.concat(&format!("sft.{level}"), &[same, moved]);
    Ok(Map { value, channels: map.channels })
}

/// The style of one layer.
struct Latent {
    value: String,
    features: usize,
}

fn latent(net: &mut Net<'_>, steering: &Steering, number: usize) -> Latent {
    let (features, value) = (steering.features, format!("style.{number}"));
    // Most styles are shared by two layers.
    if !net.graph.has_node(&value) {
        net.slice(&value, &steering.styles, [number * features, (number + 1) * features]);
    }
    Latent { value, features }
}

/// The stored noise of a layer, which is `side` pixels high and wide, and whether the layer doubles the size first.
struct Noise {
    layer: usize,
    side: usize,
    enlarge: bool,
}

/// A modulated and demodulated 3x3 convolution ([arXiv:1912.04958](https://arxiv.org/abs/1912.04958)), followed by noise,
/// bias and activation.
fn style_conv(net: &mut Net<'_>, name: &str, from: &Map, latent: &Latent, noise: Noise) -> Result<Map, WeightsError> {
    let name = format!("{DECODER}.{name}");
    let inputs = from.channels;
    let weight = format!("{name}.modulated_conv.weight");
    let [_, outputs, _, _, _] = net.weights.dims(&weight)?;
    let values = net.weights.take(&weight, &[1, outputs, inputs, 3, 3])?;
    let energy = energy(&values, inputs, outputs);
    net.graph.tensor(&weight, vec![outputs as i64, inputs as i64, 3, 3], values);

    let (style, mut value) = modulate(net, &name, from, latent)?;
    if noise.enlarge {
        value = double(net, &format!("{name}/enlarged"), &value);
    }
    let value = net.conv_node(&format!("{name}.modulated_conv"), 3, &[&value, &weight]);

    // The demodulation multiplies each output channel by sqrt(2) over the norm of its weights, scaled by the style.
    let step = |part: &str| format!("{name}/demodulation.{part}");
    let (square, sum, safe, length, factor) =
        (step("square"), step("sum"), step("safe"), step("length"), step("factor"));
    let energy_name = format!("{name}.energy");
    net.graph.tensor(&energy_name, vec![inputs as i64, outputs as i64], energy);
    let (tiny, root) = (net.graph.constant(&[1e-8], Vec::new()), net.graph.constant(&[2_f32.sqrt()], Vec::new()));
    net.graph.node("Mul", &square, &[&style, &style], &square, Vec::new());
    net.graph.node("MatMul", &sum, &[&square, &energy_name], &sum, Vec::new());
    net.graph.node("Add", &safe, &[&sum, &tiny], &safe, Vec::new());
    net.graph.node("Sqrt", &length, &[&safe], &length, Vec::new());
    net.graph.node("Div", &factor, &[&root, &length], &factor, Vec::new());
    let value = per_channel(net, &format!("{name}/demodulated"), &value, &factor);

    let strength = net.weights.take(&format!("{name}.weight"), &[1])?;
    let stored =
        net.weights.take(&format!("{DECODER}.noises.noise{}", noise.layer), &[1, 1, noise.side, noise.side])?;
    let noise_name = format!("{name}.noise");
    let side = noise.side as i64;
    net.graph.tensor(&noise_name, vec![1, 1, side, side], scaled(&stored, float(&strength)));
    let value = net.add(&value, &noise_name, &format!("{name}/noisy"));
    let bias = net.tensor(&format!("{name}.bias"), &[1, outputs, 1, 1])?;
    let value = net.add(&value, &bias, &name);
    Ok(Map { value: net.leaky(&value), channels: outputs })
}

/// A modulated 1x1 convolution to RGB.
fn to_rgb(net: &mut Net<'_>, from: &Map, latent: &Latent, name: &str) -> Result<String, WeightsError> {
    let (_, value) = modulate(net, name, from, latent)?;
    let (weight, bias) = (format!("{name}.modulated_conv.weight"), format!("{name}.bias"));
    let values = net.weights.take(&weight, &[1, CHANNELS, from.channels, 1, 1])?;
    net.graph.tensor(&weight, vec![CHANNELS as i64, from.channels as i64, 1, 1], values);
    let values = net.weights.take(&bias, &[1, CHANNELS, 1, 1])?;
    net.graph.tensor(&bias, vec![CHANNELS as i64], values);
    Ok(net.conv_node(name, 1, &[&value, &weight, &bias]))
}

/// Scales each channel of `from` by the style of the layer; returns the style `[N, channels]` and the scaled map.
fn modulate(net: &mut Net<'_>, name: &str, from: &Map, latent: &Latent) -> Result<(String, String), WeightsError> {
    let modulation = format!("{name}.modulated_conv.modulation");
    let style = linear(net, &modulation, &latent.value, [latent.features, from.channels])?;
    let value = per_channel(net, &format!("{name}/modulated"), &from.value, &style);
    Ok((style, value))
}

/// Multiplies `from` by `factors`, which are `[N, channels]`.
fn per_channel(net: &mut Net<'_>, name: &str, from: &str, factors: &str) -> String {
    let (axes, spread) = (net.graph.integers(&[2, 3]), format!("{name}/factors"));
    net.graph.node("Unsqueeze", &spread, &[factors, &axes], &spread, Vec::new());
    net.graph.node("Mul", name, &[from, &spread], name, Vec::new());
    name.to_owned()
}

/// A fully connected layer on `[N, inputs]`.
fn linear(net: &mut Net<'_>, name: &str, from: &str, [inputs, outputs]: [usize; 2]) -> Result<String, WeightsError> {
    let weight = net.tensor(&format!("{name}.weight"), &[outputs, inputs])?;
    let bias = net.tensor(&format!("{name}.bias"), &[outputs])?;
    net.graph.node("Gemm", name, &[from, &weight, &bias], name, vec![int("transB", 1)]);
    Ok(name.to_owned())
}

/// Doubles the size bilinearly, with the centres of pixels aligned.
fn double(net: &mut Net<'_>, name: &str, from: &str) -> String {
    let scales = net.graph.constant(&[1.0, 1.0, 2.0, 2.0], vec![4]);
    let attributes = vec![text("coordinate_transformation_mode", "half_pixel"), text("mode", "linear")];
    net.graph.node("Resize", name, &[from, "", &scales], name, attributes);
    name.to_owned()
}

/// Halves the size bilinearly with the centres of pixels aligned, which gives the mean of every 2x2 pixels.
fn halve(net: &mut Net<'_>, name: &str, from: &str) -> String {
    let attributes = vec![ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    net.graph.node("AveragePool", name, &[from], name, attributes);
    name.to_owned()
}

/// The sum of the squares of each 3x3 kernel as `[inputs, outputs]`, by which the demodulation multiplies the square of a
/// style.
fn energy(weight: &[u8], inputs: usize, outputs: usize) -> Vec<u8> {
    let sums: Vec<f32> = weight
        .chunks_exact(9 * size_of::<f32>())
        .map(|kernel| floats(kernel).map(|value| f64::from(value).powi(2)).sum::<f64>() as f32)
        .collect();
    let transposed = (0..inputs).flat_map(|input| (0..outputs).map(move |output| output * inputs + input));
    transposed.flat_map(|at| sums[at].to_le_bytes()).collect()
}

fn scaled(values: &[u8], factor: f32) -> Vec<u8> {
    floats(values).flat_map(|value| (value * factor).to_le_bytes()).collect()
}

fn float(values: &[u8]) -> f32 {
    floats(values).next().unwrap_or_default()
}
