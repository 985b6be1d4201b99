//! YuNet: its input, and faces from its twelve outputs.
//!
//! It takes raw blue, green, red in 0..=255, sides a multiple of 32. At each stride (8, 16, 32 pixels) every cell of the
//! grid gives `cls` and `obj` (how sure it is), `bbox` (centre and size) and `kps` (five landmarks), relative to itself.

use ndarray::{Array4, ArrayView2, Axis, Ix3};

use super::{Area, Face};
use crate::engine::{EngineError, Output, Tensor};

const STRIDES: [usize; 3] = [8, 16, 32];

/// Least score. Of faces in photos, down to 16 pixels and turned by 30 degrees, 97 % score more; textures without a face
/// stay below, but for things that look like one.
const SURE: f64 = 0.75;

/// `[1, 3, h, w]` of red, green, blue in 0..=1 as the network wants it, black around to full strides.
pub(super) fn input(tile: &Tensor) -> Tensor {
    let (_, _, height, width) = tile.dim();
    let full = |side: usize| side.next_multiple_of(super::pyramid::STEP);
    let mut input = Array4::zeros((1, 3, full(height), full(width)));
    for channel in 0..3 {
        let mut plane = input.slice_mut(ndarray::s![0, 2 - channel, ..height, ..width]);
        plane.assign(&tile.slice(ndarray::s![0, channel, .., ..]));
        plane.mapv_inplace(|value| value * 255.0);
    }
    input
}

/// Faces of an input of `width` x `height`, in its pixels.
///
/// # Errors
/// Outputs that are missing, of another size, or no numbers.
pub(super) fn faces(outputs: &[Output], width: usize, height: usize) -> Result<Vec<Face>, EngineError> {
    let mut faces = Vec::new();
    for stride in STRIDES {
        let (columns, rows) = (width / stride, height / stride);
        let named =
            |name: &str, values: usize| values_of(outputs, &format!("{name}_{stride}"), (columns * rows, values));
        let (cls, obj) = (named("cls", 1)?, named("obj", 1)?);
        let (boxes, points) = (named("bbox", 4)?, named("kps", 10)?);
        for cell in 0..columns * rows {
            let sure = |value: f32| f64::from(value).clamp(0.0, 1.0);
            let score = (sure(cls[(cell, 0)]) * sure(obj[(cell, 0)])).sqrt();
            if score < SURE {
                continue;
            }
            let (column, row, stride) = ((cell % columns) as f64, (cell / columns) as f64, stride as f64);
            let [x, y, w, h] = [0, 1, 2, 3].map(|at| f64::from(boxes[(cell, at)]));
            let (width, height) = (w.exp() * stride, h.exp() * stride);
            let area = Area {
                left: (column + x) * stride - width / 2.0,
                top: (row + y) * stride - height / 2.0,
                width,
                height,
            };
            let landmark = |at: usize| {
                let [x, y] = [2 * at, 2 * at + 1].map(|at| f64::from(points[(cell, at)]));
                [(column + x) * stride, (row + y) * stride]
            };
            faces.push(Face { score, area, landmarks: std::array::from_fn(landmark) });
        }
    }
    Ok(faces)
}

fn values_of<'a>(outputs: &'a [Output], name: &str, shape: (usize, usize)) -> Result<ArrayView2<'a, f32>, EngineError> {
    let output = outputs.iter().find(|output| output.name == name);
    let output = output.ok_or_else(|| EngineError::Run(format!("the detector has no output {name}")))?;
    let wrong =
        || EngineError::Run(format!("the detector's {name} is {:?}, expected {shape:?}", output.values.shape()));
    let values = output.values.view().into_dimensionality::<Ix3>().map_err(|_| wrong())?;
    if values.dim() != (1, shape.0, shape.1) {
        return Err(wrong());
    }
    if !values.iter().all(|value| value.is_finite()) {
        return Err(EngineError::Run(format!("the detector's {name} has values that are not numbers")));
    }
    Ok(values.index_axis_move(Axis(0), 0))
}
