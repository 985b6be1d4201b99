//! The three outputs of RetinaFace: Deng et al., "RetinaFace: Single-stage Dense Face Localisation in the Wild", 2019,
//! [arXiv:1905.00641](https://arxiv.org/abs/1905.00641), with the constants of
//! [facexlib](https://github.com/xinntao/facexlib).
//!
//! The input is blue, green, red in 0..=255 less their mean. Each anchor has a row in each output. Anchors are squares
//! about the centre of each cell, two sizes per stride, ordered by stride, row, column and size. `conf` is the
//! probability of (background, face). `bbox` (centre and logarithm of the size) and `landmarks` are relative to the
//! anchor, in units of its size and of the variances with which the network was trained.

use remaster_engine::Output;

use super::face::{BoundingBox, Face};
use super::rows::rows;
use crate::output::OutputError;

/// What is subtracted from blue, green and red.
pub(super) const MEAN_BGR: [f32; 3] = [104.0, 117.0, 123.0];

/// Each stride and the sides of its anchors, in pixels.
const ANCHORS: [(usize, [f64; 2]); 3] = [(8, [16.0, 32.0]), (16, [64.0, 128.0]), (32, [256.0, 512.0])];

/// The unit of the offsets of centres and landmarks, as a share of the anchor's side.
const CENTRE_VARIANCE: f64 = 0.1;

/// The unit of the logarithms of sizes.
const SIZE_VARIANCE: f64 = 0.2;

/// The least score of a detection, as in GFPGAN.
const SCORE_THRESHOLD: f64 = 0.97;

/// The detections for an input of `width` x `height` pixels.
///
/// # Errors
/// An output is missing, has another shape, or has values that are not finite.
pub(super) fn faces(outputs: &[Output], width: usize, height: usize) -> Result<Vec<Face>, OutputError> {
    let anchors = anchors(width, height);
    let named = |name: &str, values: usize| rows(outputs, name, [anchors.len(), values]);
    let (scores, boxes, points) = (named("conf", 2)?, named("bbox", 4)?, named("landmarks", 10)?);
    let confident = anchors.into_iter().enumerate().filter(|(row, _)| f64::from(scores[(*row, 1)]) > SCORE_THRESHOLD);
    let face = |(row, Anchor { x, y, side }): (usize, Anchor)| {
        let [dx, dy, dw, dh] = [0, 1, 2, 3].map(|at| f64::from(boxes[(row, at)]));
        let centre = |dx: f64, dy: f64| [x + dx * CENTRE_VARIANCE * side, y + dy * CENTRE_VARIANCE * side];
        let [width, height] = [dw, dh].map(|by| side * (by * SIZE_VARIANCE).exp());
        let [left, top] = centre(dx, dy);
        let bbox = BoundingBox { left: left - width / 2.0, top: top - height / 2.0, width, height };
        let landmark = |at: usize| centre(f64::from(points[(row, 2 * at)]), f64::from(points[(row, 2 * at + 1)]));
        Face { score: f64::from(scores[(row, 1)]), bbox, landmarks: std::array::from_fn(landmark) }
    };
    Ok(confident.map(face).collect())
}

/// A square of `side` pixels about (`x`, `y`).
struct Anchor {
    x: f64,
    y: f64,
    side: f64,
}

fn anchors(width: usize, height: usize) -> Vec<Anchor> {
    let mut anchors = Vec::new();
    for (stride, sides) in ANCHORS {
        let centre = |cell: usize| (cell as f64 + 0.5) * stride as f64;
        for row in 0..height.div_ceil(stride) {
            for column in 0..width.div_ceil(stride) {
                anchors.extend(sides.map(|side| Anchor { x: centre(column), y: centre(row), side }));
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
        let bbox = BoundingBox { left: 40.0 + 12.8 - width / 2.0, top: 24.0 - 64.0, width, height: 128.0 };
        assert!((faces[0].bbox.left - bbox.left).abs() < 1e-6 && (faces[0].bbox.width - width).abs() < 1e-6);
        assert_eq!((faces[0].bbox.top, faces[0].bbox.height), (bbox.top, bbox.height));
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
