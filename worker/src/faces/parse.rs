//! What of an aligned face is face, by a parsing network: skin, features, ears and mouth, without hair, neck and hat.

use ndarray::{Array2, ArrayView3, Axis};
use remaster_shared::job::ModelId;

use super::align::SIDE;
use super::blend::Parsed;
use remaster_engine::{EngineError, SharedEngine, Tensor};

/// Which of the network's classes are face (facexlib's map): not 0 background, 14 neck, 16 clothes, 17 hair, 18 hat.
const CLASSES: usize = 19;
const IS_FACE: [bool; CLASSES] = [
    false, true, true, true, true, true, true, true, true, true, true, true, true, true, false, true, false, false,
    false,
];

/// The blur of the mask's border, in pixels: facexlib's two of 11, one after the other, are one of 15.6.
const SIGMA: f32 = 15.556;

/// Nothing is taken so near to the square's edge.
const BORDER: usize = 10;

/// The mask of each face in `faces` (`[n, 3, 512, 512]`, -1..=1).
///
/// # Errors
/// The engine's; an output that is not `[n, 19, 512, 512]`.
pub(super) async fn parse(engine: &SharedEngine, parser: &ModelId, faces: Tensor) -> Result<Vec<Parsed>, EngineError> {
    let expected = (faces.dim().0, CLASSES, SIDE, SIDE);
    let classes = engine.run(parser, faces).await?;
    if classes.dim() != expected {
        return Err(EngineError::Run(format!("the parser's output is {:?}, not {expected:?}", classes.dim())));
    }
    let soften = move || classes.outer_iter().map(|face| blurred(&of_face(face))).collect();
    tokio::task::spawn_blocking(soften).await.map_err(|error| EngineError::Run(error.to_string()))
}

/// 1 where the likeliest class is one of a face's.
fn of_face(classes: ArrayView3<'_, f32>) -> Parsed {
    classes.map_axis(Axis(0), |likely| {
        let best = likely.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        if best.is_some_and(|(class, _)| IS_FACE[class]) { 1.0 } else { 0.0 }
    })
}

fn blurred(mask: &Parsed) -> Parsed {
    let radius = (3.0 * SIGMA) as isize;
    let bell = |at: isize| (-(at * at) as f32 / (2.0 * SIGMA * SIGMA)).exp();
    let total: f32 = (-radius..=radius).map(bell).sum();
    let weights: Vec<f32> = (-radius..=radius).map(|at| bell(at) / total).collect();
    let mut mask = along_rows(&along_rows(mask, &weights).reversed_axes(), &weights).reversed_axes();
    for (at, value) in mask.indexed_iter_mut() {
        if [at.0, at.1].iter().any(|at| *at < BORDER || *at >= SIDE - BORDER) {
            *value = 0.0;
        }
    }
    mask
}

fn along_rows(mask: &Array2<f32>, weights: &[f32]) -> Array2<f32> {
    let radius = weights.len() / 2;
    let mut blurred = Array2::zeros(mask.dim());
    for (from, mut to) in mask.outer_iter().zip(blurred.outer_iter_mut()) {
        let mut wide = vec![0.0; from.len() + 2 * radius];
        wide[radius..][..from.len()].iter_mut().zip(from).for_each(|(wide, value)| *wide = *value);
        for (at, value) in to.iter_mut().enumerate() {
            *value = wide[at..].iter().zip(weights).map(|(value, weight)| value * weight).sum();
        }
    }
    blurred
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_class_decides_and_the_border_is_soft() {
        let mut classes = ndarray::Array3::zeros((CLASSES, SIDE, SIDE));
        // Hair, but for skin in the left half.
        classes.slice_mut(ndarray::s![17, .., ..]).fill(1.0);
        classes.slice_mut(ndarray::s![1, .., ..SIDE / 2]).fill(2.0);
        let mask = blurred(&of_face(classes.view()));
        let row: Vec<f32> = mask.row(256).to_vec();
        assert!(row[5] == 0.0 && row[120] > 0.999 && row[400] < 0.001);
        assert!((row[255] + row[256] - 1.0).abs() < 0.05, "{} {}", row[255], row[256]);
        assert!(row[60..450].windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.03));
    }
}
