//! The known detectors, and the input that they have in common: blue, green, red.

use ndarray::Array4;
use remaster_engine::{Available, Output, Tensor};
use remaster_shared::job::ModelId;

use super::face::Face;
use super::pyramid::SIDE_MULTIPLE;
use super::{retinaface, yunet};
use crate::output::OutputError;

/// An installed detector, by the architecture that its input and its outputs follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detector {
    /// [YuNet](https://github.com/opencv/opencv_zoo).
    Yunet(ModelId),
    /// [RetinaFace](https://arxiv.org/abs/1905.00641).
    RetinaFace(ModelId),
}

impl Detector {
    /// `None` when the architecture of `model` is not known.
    pub(super) fn new(model: Available) -> Option<Self> {
        match model.architecture.as_str() {
            "yunet" => Some(Detector::Yunet(model.id)),
            "retinaface" => Some(Detector::RetinaFace(model.id)),
            _ => None,
        }
    }

    /// The id of the model.
    pub(super) fn model(&self) -> &ModelId {
        let (Detector::Yunet(model) | Detector::RetinaFace(model)) = self;
        model
    }

    /// Turns a tile, `[1, 3, h, w]` of red, green, blue in 0..=1, into the input that the network expects: blue, green,
    /// red in 0..=255 less the network's mean, with zeros to the right and below up to a multiple of [`SIDE_MULTIPLE`].
    pub(super) fn input(&self, tile: &Tensor) -> Tensor {
        match self {
            Detector::Yunet(_) => bgr(tile, yunet::MEAN_BGR),
            Detector::RetinaFace(_) => bgr(tile, retinaface::MEAN_BGR),
        }
    }

    /// The detections in the network's outputs for an input of `width` x `height`, in pixels of the input. One face may
    /// be detected several times.
    ///
    /// # Errors
    /// An output is missing, has another shape than the input's size implies, or has values that are not finite.
    pub(super) fn faces(&self, outputs: &[Output], [width, height]: [usize; 2]) -> Result<Vec<Face>, OutputError> {
        match self {
            Detector::Yunet(_) => yunet::faces(outputs, width, height),
            Detector::RetinaFace(_) => retinaface::faces(outputs, width, height),
        }
    }
}

fn bgr(tile: &Tensor, mean: [f32; 3]) -> Tensor {
    let (_, _, height, width) = tile.dim();
    let padded = |side: usize| side.next_multiple_of(SIDE_MULTIPLE);
    let mut input = Array4::zeros((1, 3, padded(height), padded(width)));
    for (channel, mean) in mean.into_iter().enumerate() {
        let mut plane = input.slice_mut(ndarray::s![0, channel, ..height, ..width]);
        plane.assign(&tile.slice(ndarray::s![0, 2 - channel, .., ..]));
        plane.mapv_inplace(|value| value * 255.0 - mean);
    }
    input
}
