//! YuNet's twelve outputs.
//!
//! It takes raw blue, green, red. At each stride (8, 16, 32 pixels) every cell of the grid gives `cls` and `obj` (how
//! sure it is), `bbox` (centre, and the logarithm of the size) and `kps` (five landmarks), relative to its corner.

use super::detector::rows;
use super::{Area, Face};
use remaster_engine::{EngineError, Output};

pub(super) const MEAN: [f32; 3] = [0.0; 3];

const STRIDES: [usize; 3] = [8, 16, 32];

/// Least score. 97 % of small faces (LFW, 40 to 50 pixels) score more. Textures without a face score less, but for some
/// in photos that were blown up eightfold, and for things that look like one.
const SURE: f64 = 0.75;

pub(super) fn faces(outputs: &[Output], width: usize, height: usize) -> Result<Vec<Face>, EngineError> {
    let mut faces = Vec::new();
    for stride in STRIDES {
        let (columns, cells) = (width / stride, (width / stride) * (height / stride));
        let named = |name: &str, values: usize| rows(outputs, &format!("{name}_{stride}"), [cells, values]);
        let (cls, obj) = (named("cls", 1)?, named("obj", 1)?);
        let (boxes, points) = (named("bbox", 4)?, named("kps", 10)?);
        for cell in 0..cells {
            let sure = |value: f32| f64::from(value).clamp(0.0, 1.0);
            let score = (sure(cls[(cell, 0)]) * sure(obj[(cell, 0)])).sqrt();
            if score < SURE {
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
            let area = Area { left, top, width, height };
            faces.push(Face { score, area, landmarks: std::array::from_fn(landmark) });
        }
    }
    Ok(faces)
}
