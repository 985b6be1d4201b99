//! The [layer kinds](https://github.com/Tencent/ncnn/wiki/operators) that are translated, one function each.

use super::graph::{State, Value};
use super::param::Layer;
use crate::onnx::build::{float, int, ints, text};

const MAX_CHANNELS: i64 = 1 << 16;
const MAX_KERNEL: i64 = 31;
const MAX_FACTOR: i64 = 8;

/// Adds the nodes of `layer` to the graph; returns what its output carries.
pub(crate) fn add(layer: &mut Layer, inputs: &[Value], state: &mut State<'_>) -> Result<Value, String> {
    let [blob] = &layer.outputs[..] else {
        return Err(format!("has {} outputs, not 1", layer.outputs.len()));
    };
    let out = state.name(blob);
    match layer.kind.as_str() {
        "Convolution" => convolution(layer, one(inputs)?, out, state),
        "PReLU" => prelu(layer, one(inputs)?, out, state),
        "ReLU" => relu(layer, one(inputs)?, out, state),
        "Concat" => concat(layer, inputs, out, state),
        "Eltwise" => eltwise(layer, inputs, out, state),
        "BinaryOp" => binary(layer, inputs, out, state),
        "Interp" => interp(layer, one(inputs)?, out, state),
        "PixelShuffle" => pixel_shuffle(layer, one(inputs)?, out, state),
        _ => Err("this kind of layer is not supported".to_owned()),
    }
}

/// A convolution that keeps the size of the image, with the activation that ncnn fuses into it.
fn convolution(layer: &mut Layer, input: &Value, out: String, state: &mut State<'_>) -> Result<Value, String> {
    let params = &mut layer.params;
    let outputs = within(params.int(0, 0)?, 1, MAX_CHANNELS, "output channels")?;
    let kernel_w = within(params.int(1, 0)?, 1, MAX_KERNEL, "kernel width")?;
    let kernel_h = within(params.int(11, kernel_w)?, 1, MAX_KERNEL, "kernel height")?;
    let dilation_w = within(params.int(2, 1)?, 1, MAX_KERNEL, "dilation")?;
    let dilation_h = within(params.int(12, dilation_w)?, 1, MAX_KERNEL, "dilation")?;
    params.only(3, 1, "stride")?;
    params.only(13, 1, "stride")?;
    let left = params.int(4, 0)?;
    let (right, top) = (params.int(15, left)?, params.int(14, left)?);
    let bottom = params.int(16, top)?;
    let (reach_w, reach_h) = (dilation_w * (kernel_w - 1), dilation_h * (kernel_h - 1));
    let odd = [left, top].iter().any(|side| *side < 0 || *side > MAX_KERNEL * MAX_KERNEL);
    if odd || left.checked_add(right) != Some(reach_w) || top.checked_add(bottom) != Some(reach_h) {
        return Err("padding that changes the image's size is not supported".to_owned());
    }
    let bias = within(params.int(5, 0)?, 0, 1, "bias flag")? == 1;
    let weights = params.int(6, 0)?;
    params.only(8, 0, "int8 scale")?;
    params.only(18, 0, "padding value")?;
    params.only(19, 0, "dynamic weights")?;
    let activation = (params.int(9, 0)?, params.floats(10)?);

    let count = outputs
        .checked_mul(kernel_w * kernel_h)
        .and_then(|each| each.checked_mul(i64::try_from(input.channels).ok()?))
        .filter(|&count| count == weights)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or_else(|| {
            let (inputs, shape) = (input.channels, format!("{kernel_h}x{kernel_w}"));
            format!("{weights} weights do not fit {inputs} channels in, {outputs} out and a {shape} kernel")
        })?;
    let channels = usize::try_from(outputs).map_err(|error| error.to_string())?;
    let weight = format!("w:{}.weight", layer.name);
    let values = state.weights.tagged(count)?;
    let dims = vec![outputs, i64::try_from(input.channels).map_err(|error| error.to_string())?, kernel_h, kernel_w];
    state.graph.tensor(&weight, dims, values);
    let mut names = vec![input.name.clone(), weight];
    if bias {
        let name = format!("w:{}.bias", layer.name);
        let values = state.weights.plain(channels)?;
        state.graph.tensor(&name, vec![outputs], values);
        names.push(name);
    }
    let attributes = vec![
        ints("dilations", &[dilation_h, dilation_w]),
        ints("kernel_shape", &[kernel_h, kernel_w]),
        ints("pads", &[top, left, bottom, right]),
        ints("strides", &[1, 1]),
    ];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let raw = if activation.0 == 0 { out.clone() } else { format!("p:{}", layer.name) };
    state.graph.node("Conv", &layer.name, &names, &raw, attributes);
    match (activation.0, &activation.1[..]) {
        (0, []) => {}
        (1, []) => rectify(&layer.name, &raw, &out, 0.0, state),
        (2, &[slope]) => rectify(&layer.name, &raw, &out, slope, state),
        (kind, values) => {
            return Err(format!("activation {kind} with {} values is not supported", values.len()));
        }
    }
    Ok(Value { name: out, channels, scale: input.scale })
}

fn prelu(layer: &mut Layer, input: &Value, out: String, state: &mut State<'_>) -> Result<Value, String> {
    let slopes = layer.params.int(0, 0)?;
    let count = usize::try_from(slopes).ok().filter(|&count| count == 1 || count == input.channels);
    let count = count.ok_or_else(|| format!("{slopes} slopes for {} channels", input.channels))?;
    let slope = format!("w:{}.slope", layer.name);
    let values = state.weights.plain(count)?;
    state.graph.tensor(&slope, vec![slopes, 1, 1], values);
    state.graph.node("PRelu", &layer.name, &[&input.name, &slope], &out, Vec::new());
    Ok(Value { name: out, ..input.clone() })
}

fn relu(layer: &mut Layer, input: &Value, out: String, state: &mut State<'_>) -> Result<Value, String> {
    let slope = layer.params.float(0, 0.0)?;
    rectify(&layer.name, &input.name, &out, slope, state);
    Ok(Value { name: out, ..input.clone() })
}

fn rectify(layer: &str, from: &str, to: &str, slope: f32, state: &mut State<'_>) {
    let name = format!("{layer}/activation");
    if slope == 0.0 {
        state.graph.node("Relu", &name, &[from], to, Vec::new());
    } else {
        state.graph.node("LeakyRelu", &name, &[from], to, vec![float("alpha", slope)]);
    }
}

fn concat(layer: &mut Layer, inputs: &[Value], out: String, state: &mut State<'_>) -> Result<Value, String> {
    layer.params.only(0, 0, "concatenation along axis")?;
    let first = inputs.first().ok_or("has no inputs")?;
    if inputs.iter().any(|input| input.scale != first.scale) {
        return Err("its inputs differ in size".to_owned());
    }
    let channels = inputs.iter().map(|input| input.channels).sum();
    if channels > MAX_CHANNELS as usize {
        return Err(format!("gives {channels} channels, more than accepted"));
    }
    let names: Vec<&str> = inputs.iter().map(|input| input.name.as_str()).collect();
    state.graph.node("Concat", &layer.name, &names, &out, vec![int("axis", 1)]);
    Ok(Value { name: out, channels, scale: first.scale })
}

/// A product, or a sum with one coefficient per input.
fn eltwise(layer: &mut Layer, inputs: &[Value], out: String, state: &mut State<'_>) -> Result<Value, String> {
    let (kind, coefficients) = (layer.params.int(0, 0)?, layer.params.floats(1)?);
    let op = match kind {
        0 => "Mul",
        1 => "Add",
        other => return Err(format!("operation {other} is not supported")),
    };
    if !coefficients.is_empty() && (kind != 1 || coefficients.len() != inputs.len()) {
        return Err(format!("{} coefficients for {} inputs", coefficients.len(), inputs.len()));
    }
    let alike = alike(inputs)?;
    let mut terms = Vec::with_capacity(inputs.len());
    for (at, input) in inputs.iter().enumerate() {
        match coefficients.get(at) {
            Some(&coefficient) if coefficient != 1.0 => {
                let constant = state.graph.constant(&[coefficient], Vec::new());
                let (name, scaled) = (format!("{}/scaled.{at}", layer.name), format!("m:{}.{at}", layer.name));
                state.graph.node("Mul", &name, &[&input.name, &constant], &scaled, Vec::new());
                terms.push(scaled);
            }
            _ => terms.push(input.name.clone()),
        }
    }
    let last = terms.len() - 1;
    let mut sum = terms[0].clone();
    for (at, term) in terms.iter().enumerate().skip(1) {
        let next = if at == last { out.clone() } else { format!("s:{}.{at}", layer.name) };
        let name = if at == last { layer.name.clone() } else { format!("{}/partial.{at}", layer.name) };
        state.graph.node(op, &name, &[&sum, term], &next, Vec::new());
        sum = next;
    }
    Ok(Value { name: out, ..alike })
}

/// Arithmetic on two blobs of the same shape, or on a blob and a number.
fn binary(layer: &mut Layer, inputs: &[Value], out: String, state: &mut State<'_>) -> Result<Value, String> {
    let kind = layer.params.int(0, 0)?;
    let (op, reversed) = match kind {
        0 => ("Add", false),
        1 => ("Sub", false),
        2 => ("Mul", false),
        3 => ("Div", false),
        4 => ("Max", false),
        5 => ("Min", false),
        7 => ("Sub", true),
        8 => ("Div", true),
        other => return Err(format!("operation {other} is not supported")),
    };
    let scalar = layer.params.int(1, 0)? != 0;
    let number = layer.params.float(2, 0.0)?;
    let (value, other) = match (inputs, scalar) {
        ([input], true) => (input.clone(), state.graph.constant(&[number], Vec::new())),
        ([_, other], false) => (alike(inputs)?, other.name.clone()),
        _ => {
            return Err(format!("has {} inputs, and {}", inputs.len(), if scalar { "a number" } else { "no number" }));
        }
    };
    let pair = if reversed { [other.as_str(), &inputs[0].name] } else { [inputs[0].name.as_str(), &other] };
    state.graph.node(op, &layer.name, &pair, &out, Vec::new());
    Ok(Value { name: out, ..value })
}

/// An enlargement by a whole factor. ncnn's nearest-neighbour mode takes the pixel `floor(x / factor)`; its bilinear
/// mode aligns the centres of pixels.
fn interp(layer: &mut Layer, input: &Value, out: String, state: &mut State<'_>) -> Result<Value, String> {
    let params = &mut layer.params;
    let kind = params.int(0, 0)?;
    let (height, width) = (params.float(1, 1.0)?, params.float(2, 1.0)?);
    for (key, what) in [(3, "a fixed height of"), (4, "a fixed width of"), (5, "size mode"), (6, "corner alignment")] {
        params.only(key, 0, what)?;
    }
    if height != width || height.fract() != 0.0 || !(1.0..=MAX_FACTOR as f32).contains(&height) {
        return Err(format!("factors {height} and {width} are not supported: they have to be one whole number"));
    }
    let attributes = match kind {
        1 => vec![
            text("coordinate_transformation_mode", "asymmetric"),
            text("mode", "nearest"),
            text("nearest_mode", "floor"),
        ],
        2 => vec![text("coordinate_transformation_mode", "half_pixel"), text("mode", "linear")],
        other => {
            return Err(format!("resize type {other} is not supported, only nearest (1) and bilinear (2)"));
        }
    };
    let scales = state.graph.constant(&[1.0, 1.0, height, width], vec![4]);
    state.graph.node("Resize", &layer.name, &[&input.name, "", &scales], &out, attributes);
    Ok(Value { name: out, channels: input.channels, scale: grown(input.scale, height as u32)? })
}

fn pixel_shuffle(layer: &mut Layer, input: &Value, out: String, state: &mut State<'_>) -> Result<Value, String> {
    let factor = within(layer.params.int(0, 1)?, 1, MAX_FACTOR, "factor")?;
    let mode = match layer.params.int(1, 0)? {
        0 => "CRD",
        1 => "DCR",
        other => return Err(format!("mode {other} is not supported")),
    };
    let square = (factor * factor) as usize;
    if !input.channels.is_multiple_of(square) {
        return Err(format!("{} channels cannot be shuffled by {factor}", input.channels));
    }
    let attributes = vec![int("blocksize", factor), text("mode", mode)];
    state.graph.node("DepthToSpace", &layer.name, &[&input.name], &out, attributes);
    Ok(Value { name: out, channels: input.channels / square, scale: grown(input.scale, factor as u32)? })
}

fn one(inputs: &[Value]) -> Result<&Value, String> {
    match inputs {
        [input] => Ok(input),
        _ => Err(format!("has {} inputs, not 1", inputs.len())),
    }
}

/// Checks that there are at least two inputs, all of the same channels and scale; returns the first.
fn alike(inputs: &[Value]) -> Result<Value, String> {
    match inputs {
        [first, rest @ ..] if !rest.is_empty() => {
            let same = |other: &Value| (other.channels, other.scale) == (first.channels, first.scale);
            if rest.iter().all(same) { Ok(first.clone()) } else { Err("its inputs differ in size".to_owned()) }
        }
        _ => Err(format!("has {} inputs, fewer than 2", inputs.len())),
    }
}

fn within(value: i64, least: i64, most: i64, what: &str) -> Result<i64, String> {
    if (least..=most).contains(&value) { Ok(value) } else { Err(format!("{what} {value} is not in {least}..={most}")) }
}

fn grown(scale: u32, factor: u32) -> Result<u32, String> {
    scale.checked_mul(factor).ok_or_else(|| "the scale is absurd".to_owned())
}
