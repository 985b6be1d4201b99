//! RetinaFace's three outputs, a row per anchor.
//!
//! It takes blue, green, red less their mean. Anchors are squares about the middle of each cell, two sizes per stride, in
//! the order of strides, rows, columns, sizes. `conf` is (background, face), `bbox` and `landmarks` are relative to the
//! anchor, in units of its size and of the variances that the network was trained with.

use super::detector::rows;
use super::{Area, Face};
use remaster_engine::{EngineError, Output};

pub(super) const MEAN: [f32; 3] = [104.0, 117.0, 123.0];

/// Each stride and the sizes of its anchors.
const ANCHORS: [(usize, [f64; 2]); 3] = [(8, [16.0, 32.0]), (16, [64.0, 128.0]), (32, [256.0, 512.0])];
const CENTRE_VARIANCE: f64 = 0.1;
const SIZE_VARIANCE: f64 = 0.2;

/// Least score, as GFPGAN has it.
const SURE: f64 = 0.97;

pub(super) fn faces(outputs: &[Output], width: usize, height: usize) -> Result<Vec<Face>, EngineError> {
    let anchors = anchors(width, height);
    let named = |name: &str, values: usize| rows(outputs, name, [anchors.len(), values]);
    let (scores, boxes, points) = (named("conf", 2)?, named("bbox", 4)?, named("landmarks", 10)?);
    let sure = anchors.into_iter().enumerate().filter(|(row, _)| f64::from(scores[(*row, 1)]) > SURE);
    let face = |(row, Anchor { x, y, side }): (usize, Anchor)| {
        let [dx, dy, dw, dh] = [0, 1, 2, 3].map(|at| f64::from(boxes[(row, at)]));
        let centre = |dx: f64, dy: f64| [x + dx * CENTRE_VARIANCE * side, y + dy * CENTRE_VARIANCE * side];
        let [width, height] = [dw, dh].map(|by| side * (by * SIZE_VARIANCE).exp());
        let [left, top] = centre(dx, dy);
        let area = Area { left: left - width / 2.0, top: top - height / 2.0, width, height };
        let landmark = |at: usize| centre(f64::from(points[(row, 2 * at)]), f64::from(points[(row, 2 * at + 1)]));
        Face { score: f64::from(scores[(row, 1)]), area, landmarks: std::array::from_fn(landmark) }
    };
    Ok(sure.map(face).collect())
}

/// A square about (`x`, `y`).
struct Anchor {
    x: f64,
    y: f64,
    side: f64,
}

fn anchors(width: usize, height: usize) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    for (stride, sides) in ANCHORS {
        let middle = |cell: usize| (cell as f64 + 0.5) * stride as f64;
        for row in 0..height.div_ceil(stride) {
            for column in 0..width.div_ceil(stride) {
                anchors.extend(sides.map(|side| Anchor { x: middle(column), y: middle(row), side }));
            }
        }
    }
    anchors
}

#[cfg(test)]
mod tests {
    use ndarray::{Array3, ArrayD};

    use super::*;

    fn outputs(set: impl Fn(&str, &mut ArrayD<f32>)) -> Vec<Output> {
        // 64 x 32: 8 x 4 cells, 4 x 2, 2 x 1.
        let output = |(name, values): (&str, usize)| {
            let mut rows = Array3::zeros((1, 2 * (32 + 8 + 2), values)).into_dyn();
            set(name, &mut rows);
            Output { name: name.into(), values: rows }
        };
        [("bbox", 4), ("conf", 2), ("landmarks", 10)].map(output).into()
    }

    #[test]
    fn rows_are_read_by_their_anchors() {
        // The second size of stride 16, column 2, row 1: 128 pixels about (40, 24).
        let row = 2 * 32 + 2 * (4 + 2) + 1;
        let set = |name: &str, rows: &mut ArrayD<f32>| match name {
            "conf" => rows[[0, row, 1]] = 0.98,
            "bbox" => {
                (rows[[0, row, 0]], rows[[0, row, 2]]) = (1.0, 5.0);
            }
            _ => rows[[0, row, 3]] = -0.5,
        };
        let faces = faces(&outputs(set), 64, 32).unwrap();
        assert_eq!(faces.len(), 1);
        let width = 128.0 * 1_f64.exp();
        let area = Area { left: 40.0 + 12.8 - width / 2.0, top: 24.0 - 64.0, width, height: 128.0 };
        assert!((faces[0].area.left - area.left).abs() < 1e-6 && (faces[0].area.width - width).abs() < 1e-6);
        assert_eq!((faces[0].area.top, faces[0].area.height), (area.top, area.height));
        assert_eq!((faces[0].landmarks[0], faces[0].landmarks[1]), ([40.0, 24.0], [40.0, 24.0 - 6.4]));
    }

    #[test]
    fn outputs_that_do_not_fit_are_refused() {
        let fine = outputs(|_, _| ());
        assert_eq!(faces(&fine, 64, 32), Ok(Vec::new()));
        assert!(faces(&fine, 96, 32).is_err() && faces(&fine[1..], 64, 32).is_err());
        assert!(faces(&outputs(|_, rows| rows.fill(f32::NAN)), 64, 32).is_err());
    }
}
