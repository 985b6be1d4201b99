//! Convolutions without a bias, into which the batch normalisation that follows them is folded.
//!
//! At inference a batch normalisation scales and shifts each channel by constants. The scale becomes part of the weights
//! and the shift becomes the bias. Both are computed in double precision, so that the only error is the rounding of each
//! weight to float32.

use super::blocks::Net;
use crate::checkpoint::WeightsError;
use crate::onnx::build::ints;

/// What PyTorch adds to a variance before it takes the square root.
const EPSILON: f64 = 1e-5;

/// A convolution with a square kernel.
#[derive(Debug, Clone, Copy)]
pub(super) struct Conv {
    /// The channels it takes and those it gives.
    pub channels: [usize; 2],
    /// The side of the kernel, which is odd.
    pub side: usize,
    pub stride: usize,
    /// The width of the border of zeros around the image.
    pub pad: usize,
}

impl Conv {
    /// A convolution that keeps the size of the image.
    pub(super) fn same(channels: [usize; 2], side: usize) -> Self {
        Self { channels, side, stride: 1, pad: side / 2 }
    }

    /// The same convolution with a stride.
    pub(super) fn every(self, stride: usize) -> Self {
        Self { stride, ..self }
    }

    /// The same convolution without zeros around the image, for an image that has a border already.
    pub(super) fn inside(self) -> Self {
        Self { pad: 0, ..self }
    }
}

impl Net<'_> {
    /// The convolution `names[0]` and the normalisation `names[1]` as one convolution.
    pub(super) fn conv_norm(&mut self, names: [&str; 2], from: &str, conv: Conv) -> Result<String, WeightsError> {
        let [name, norm] = names;
        let Conv { channels: [inputs, outputs], side, .. } = conv;
        let weight = format!("{name}.weight");
        let values = self.weights.take(&weight, &[outputs, inputs, side, side])?;
        let (factors, bias) = self.normalisation(norm, outputs)?;
        let rows = values.chunks_exact(values.len() / outputs).zip(&factors);
        let scaled = rows.flat_map(|(row, factor)| floats(row).map(move |value| (f64::from(value) * factor) as f32));
        let scaled: Vec<f32> = scaled.collect();
        for (name, values) in [(&weight, &scaled), (&format!("{norm}.bias"), &bias)] {
            if !values.iter().all(|value| value.is_finite()) {
                let what = format!("is not finite once {name:?} and {norm:?} are one");
                return Err(WeightsError::Tensor { name: name.clone(), what });
            }
        }
        let dims = [outputs, inputs, side, side].map(|dim| dim as i64).to_vec();
        self.graph.tensor(&weight, dims, bytes(&scaled));
        let folded = format!("{name}.bias");
        self.graph.tensor(&folded, vec![outputs as i64], bytes(&bias));
        Ok(self.strided(name, &[from, &weight, &folded], conv))
    }

    /// A convolution whose weights are in the graph already: `inputs` are its input, its weights and its bias.
    pub(super) fn strided(&mut self, name: &str, inputs: &[&str], conv: Conv) -> String {
        let [side, stride, pad] = [conv.side, conv.stride, conv.pad].map(|size| size as i64);
        let attributes = vec![ints("kernel_shape", &[side; 2]), ints("pads", &[pad; 4]), ints("strides", &[stride; 2])];
        self.graph.node("Conv", name, inputs, name, attributes);
        name.to_owned()
    }

    /// The factor and the shift of each channel.
    fn normalisation(&mut self, name: &str, channels: usize) -> Result<(Vec<f64>, Vec<f32>), WeightsError> {
        self.weights.pass_over_counter(&format!("{name}.num_batches_tracked"))?;
        let mut part = |part: &str| -> Result<Vec<f64>, WeightsError> {
            let values = self.weights.take(&format!("{name}.{part}"), &[channels])?;
            Ok(floats(&values).map(f64::from).collect())
        };
        let (weight, bias) = (part("weight")?, part("bias")?);
        let (mean, variance) = (part("running_mean")?, part("running_var")?);
        if variance.iter().any(|&variance| variance < 0.0) {
            let name = format!("{name}.running_var");
            return Err(WeightsError::Tensor { name, what: "has a negative value, which no variance is".to_owned() });
        }
        let factors: Vec<f64> = weight.iter().zip(&variance).map(|(weight, v)| weight / (v + EPSILON).sqrt()).collect();
        let shifts = bias.iter().zip(&mean).zip(&factors).map(|((bias, mean), factor)| (bias - mean * factor) as f32);
        let shifts = shifts.collect();
        Ok((factors, shifts))
    }
}

/// The float32 values in `values`, which are little-endian.
pub(super) fn floats(values: &[u8]) -> impl Iterator<Item = f32> {
    values.as_chunks::<4>().0.iter().map(|&value| f32::from_le_bytes(value))
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
