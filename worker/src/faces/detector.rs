//! The detectors that are known, and what they have in common: blue, green, red in, rows of numbers out.

use ndarray::{Array4, ArrayView2, Axis, Ix3};
use remaster_shared::job::ModelId;

use super::pyramid::STEP;
use super::{Face, retinaface, yunet};
use remaster_engine::{Available, EngineError, Output, Tensor};

/// A detector, by how it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Detector {
    Yunet(ModelId),
    RetinaFace(ModelId),
}

impl Detector {
    /// `None` for one that is not known.
    pub(super) fn new(model: Available) -> Option<Self> {
        match model.architecture.as_str() {
            "yunet" => Some(Detector::Yunet(model.id)),
            "retinaface" => Some(Detector::RetinaFace(model.id)),
            _ => None,
        }
    }

    pub(super) fn model(&self) -> &ModelId {
        let (Detector::Yunet(model) | Detector::RetinaFace(model)) = self;
        model
    }

    /// `[1, 3, h, w]` of red, green, blue in 0..=1 as the network wants it, its sides full steps.
    pub(super) fn input(&self, tile: &Tensor) -> Tensor {
        match self {
            Detector::Yunet(_) => bgr(tile, yunet::MEAN),
            Detector::RetinaFace(_) => bgr(tile, retinaface::MEAN),
        }
    }

    /// Faces of an input of `width` x `height`, in its pixels; one face may be found several times.
    ///
    /// # Errors
    /// Outputs that are missing, of another size, or no numbers.
    pub(super) fn faces(&self, outputs: &[Output], [width, height]: [usize; 2]) -> Result<Vec<Face>, EngineError> {
        match self {
            Detector::Yunet(_) => yunet::faces(outputs, width, height),
            Detector::RetinaFace(_) => retinaface::faces(outputs, width, height),
        }
    }
}

/// Blue, green, red in 0..=255 less `mean`, with zeros to the right and below.
fn bgr(tile: &Tensor, mean: [f32; 3]) -> Tensor {
    let (_, _, height, width) = tile.dim();
    let mut input = Array4::zeros((1, 3, height.next_multiple_of(STEP), width.next_multiple_of(STEP)));
    for (channel, mean) in mean.into_iter().enumerate() {
        let mut plane = input.slice_mut(ndarray::s![0, channel, ..height, ..width]);
        plane.assign(&tile.slice(ndarray::s![0, 2 - channel, .., ..]));
        plane.mapv_inplace(|value| value * 255.0 - mean);
    }
    input
}

/// The output `name`, `[1, rows, values]`.
pub(super) fn rows<'a>(
    outputs: &'a [Output],
    name: &str,
    shape: [usize; 2],
) -> Result<ArrayView2<'a, f32>, EngineError> {
    let output = outputs.iter().find(|output| output.name == name);
    let output = output.ok_or_else(|| EngineError::Run(format!("the detector has no output {name}")))?;
    let wrong = || EngineError::Run(format!("the detector's {name} is {:?}, not {shape:?}", output.values.shape()));
    let values = output.values.view().into_dimensionality::<Ix3>().map_err(|_| wrong())?;
    if values.dim() != (1, shape[0], shape[1]) {
        return Err(wrong());
    }
    if !values.iter().all(|value| value.is_finite()) {
        return Err(EngineError::Run(format!("the detector's {name} has values that are not numbers")));
    }
    Ok(values.index_axis_move(Axis(0), 0))
}
