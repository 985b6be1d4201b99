//! A network between two of the same shape. Between two that were trained to do more and less of the same thing, such as removing noise, it
//! does as much of it as its place says
//! ([network interpolation](https://arxiv.org/abs/1811.10515)).

use prost::Message;

use crate::onnx::proto::{FLOAT, Model, Tensor, own};

/// The model whose weights are `share` parts of those of `one` and `1 - share` of those of `other`. Both are ONNX files that
/// [`convert`](crate::convert()) made. `None` for networks of different shapes, and for files that this program did not build.
#[must_use]
pub fn mix(one: &[u8], other: &[u8], share: f64) -> Option<Vec<u8>> {
    let ((model, mut graph), (_, second)) = (own(one)?, own(other)?);
    if graph.node != second.node || graph.initializer.len() != second.initializer.len() {
        return None;
    }
    for (tensor, other) in graph.initializer.iter_mut().zip(&second.initializer) {
        mix_tensor(tensor, other, share)?;
    }
    Some(Model { graph: Some(graph), ..model }.encode_to_vec())
}

fn mix_tensor(tensor: &mut Tensor, other: &Tensor, share: f64) -> Option<()> {
    if (&tensor.name, &tensor.dims, tensor.data_type) != (&other.name, &other.dims, other.data_type) {
        return None;
    }
    // What is not a weight, such as a shape, is the same in both.
    if tensor.data_type != FLOAT {
        return (tensor.raw_data == other.raw_data).then_some(());
    }
    let (weights, others) = (tensor.raw_data.as_mut()?, other.raw_data.as_ref()?);
    if weights.len() != others.len() {
        return None;
    }
    for (one, other) in weights.chunks_exact_mut(4).zip(others.chunks_exact(4)) {
        let [first, second] =
            [&*one, other].map(|bytes| f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])));
        one.copy_from_slice(&((first * share + second * (1.0 - share)) as f32).to_le_bytes());
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Expected, WeightFile, convert};

    /// A network of two 1x1 convolutions, whose weights are so many times their places.
    fn network(factor: f32, middle: usize) -> Vec<u8> {
        let weights = 3 * middle;
        let param = format!(
            "7767517\n4 4\nInput in 0 1 data\nConvolution a 1 1 data x 0={middle} 1=1 5=0 6={weights}\n\
             Convolution b 1 1 x y 0=3 1=1 5=0 6={weights}\nInterp up 1 1 y output 0=1 1=2.0 2=2.0\n"
        );
        let block = |_| [0; 4].into_iter().chain((0..weights).flat_map(|at| (at as f32 * factor).to_le_bytes()));
        let file = WeightFile::Ncnn { param: param.into_bytes(), bin: (0..2).flat_map(block).collect() };
        convert(file, &Expected { id: "net", source_sha256: "5e", scale: None, architecture: None }).unwrap().onnx
    }

    fn weights(model: &[u8]) -> Vec<Vec<u8>> {
        own(model).unwrap().1.initializer.into_iter().filter_map(|tensor| tensor.raw_data).collect()
    }

    #[test]
    fn weights_lie_between_those_of_both_networks() {
        let (one, other) = (network(1.0, 4), network(3.0, 4));
        for (share, factor) in [(1.0, 1.0), (0.0, 3.0), (0.5, 2.0), (0.25, 2.5)] {
            assert_eq!(weights(&mix(&one, &other, share).unwrap()), weights(&network(factor, 4)), "{share}");
        }
        assert_eq!(mix(&one, &network(1.0, 5), 0.5), None);
        assert_eq!(mix(&one, b"no network", 0.5), None);
    }
}
