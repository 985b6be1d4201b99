//! The twelve outputs of YuNet: Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", 2023,
//! [as published by OpenCV](https://github.com/opencv/opencv_zoo).
//!
//! The input is blue, green, red in 0..=255. At each stride every cell of the grid has a row in `cls` and `obj` (two
//! confidences, 0..=1), `bbox` (centre, and the logarithm of the size) and `kps` (five landmarks). Positions are
//! relative to the cell's upper left corner, all in units of the stride.

use remaster_engine::Output;

use super::face::{BoundingBox, Face};
use super::rows::rows;
use crate::output::OutputError;

/// What is subtracted from blue, green and red.
pub(super) const MEAN_BGR: [f32; 3] = [0.0; 3];

/// The sides of the grids' cells, in pixels.
const STRIDES: [usize; 3] = [8, 16, 32];

/// The least score of a detection. Of small faces (40 to 50 pixels, from LFW), 97 % score more. Textures without a face
/// score less, except for some in photos that were enlarged eightfold, and for things that look like a face.
const SCORE_THRESHOLD: f64 = 0.75;

/// The detections for an input of `width` x `height` pixels, both multiples of 32.
///
/// # Errors
/// An output is missing, has another shape, or has values that are not finite.
pub(super) fn faces(outputs: &[Output], width: usize, height: usize) -> Result<Vec<Face>, OutputError> {
    let mut faces = Vec::new();
    for stride in STRIDES {
        let (columns, cells) = (width / stride, (width / stride) * (height / stride));
        let named = |name: &str, values: usize| rows(outputs, &format!("{name}_{stride}"), [cells, values]);
        let (cls, obj) = (named("cls", 1)?, named("obj", 1)?);
        let (boxes, points) = (named("bbox", 4)?, named("kps", 10)?);
        for cell in 0..cells {
            let confidence = |value: f32| f64::from(value).clamp(0.0, 1.0);
            let score = (confidence(cls[(cell, 0)]) * confidence(obj[(cell, 0)])).sqrt();
            if score < SCORE_THRESHOLD {
                continue;
            }
            let (column, row, stride) = ((cell % columns) as f64, (cell / columns) as f64, stride as f64);
            let [x, y, w, h] = [0, 1, 2, 3].map(|at| f64::from(boxes[(cell, at)]));
            let (width, height) = (w.exp() * stride, h.exp() * stride);
            let [left, top] = [(column + x) * stride - width / 2.0, (row + y) * stride - height / 2.0];
            let landmark = |at: usize| {
                let [x, y] = [2 * at, 2 * at + 1].map(|at| f64::from(points[(cell, at)]));
                [(column + x) * stride, (row + y) * stride]
            };
            let bbox = BoundingBox { left, top, width, height };
            faces.push(Face { score, bbox, landmarks: std::array::from_fn(landmark) });
        }
    }
    Ok(faces)
}
