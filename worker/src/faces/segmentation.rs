//! The part of an aligned face that is face, by a face parsing network: skin, features, ears and mouth, without hair,
//! neck and hat. The constants are those of [facexlib](https://github.com/xinntao/facexlib).

use ndarray::{Array2, ArrayView3, Axis};
use remaster_engine::{SharedEngine, Tensor};
use remaster_shared::job::ModelId;

use super::align::FACE_SIZE;
use super::error::FacesError;
use crate::blocking::blocking;
use crate::output::expect_shape;

/// How much each pixel of an aligned face belongs to the face, `[512, 512]`, 0..=1.
pub(super) type SegmentationMask = Array2<f32>;

/// The number of classes that the network tells apart.
const CLASSES: usize = 19;

/// Which classes are face: all but 0 background, 14 neck, 16 clothes, 17 hair and 18 hat.
const IS_FACE: [bool; CLASSES] = [
    false, true, true, true, true, true, true, true, true, true, true, true, true, true, false, true, false, false,
    false,
];

/// The standard deviation of the Gaussian that softens the mask, in pixels. It equals the two blurs in a row of
/// facexlib, each with a standard deviation of 11 pixels.
const SIGMA: f32 = 15.556;

/// The mask is 0 within this distance of the edge of the aligned face, in pixels.
const BORDER: usize = 10;

/// The mask of each face in `faces`, which are `[n, 3, 512, 512]`, red, green, blue, -1..=1.
///
/// # Errors
/// The network cannot be run, or its output is not `[n, 19, 512, 512]`.
pub(super) async fn segment(
    engine: &SharedEngine,
    parser: &ModelId,
    faces: Tensor,
) -> Result<Vec<SegmentationMask>, FacesError> {
    let expected = [faces.dim().0, CLASSES, FACE_SIZE, FACE_SIZE];
    let classes = engine.run(parser, faces).await?;
    expect_shape("the parser's output", &classes, &expected)?;
    let masks = blocking(move || classes.outer_iter().map(|face| soften(&face_classes(face))).collect());
    Ok(masks.await?)
}

/// 1 where the likeliest of the classes, `[19, 512, 512]`, is one of the face, else 0.
fn face_classes(classes: ArrayView3<'_, f32>) -> SegmentationMask {
    classes.map_axis(Axis(0), |likelihoods| {
        let likeliest = likelihoods.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        if likeliest.is_some_and(|(class, _)| IS_FACE[class]) { 1.0 } else { 0.0 }
    })
}

/// The mask after a Gaussian blur, with 0 at its border.
fn soften(mask: &SegmentationMask) -> SegmentationMask {
    let radius = (3.0 * SIGMA) as isize;
    let gaussian = |at: isize| (-(at * at) as f32 / (2.0 * SIGMA * SIGMA)).exp();
    let total: f32 = (-radius..=radius).map(gaussian).sum();
    let kernel: Vec<f32> = (-radius..=radius).map(|at| gaussian(at) / total).collect();
    let mut mask = convolve_rows(&convolve_rows(mask, &kernel).reversed_axes(), &kernel).reversed_axes();
    for (at, value) in mask.indexed_iter_mut() {
        if [at.0, at.1].iter().any(|at| *at < BORDER || *at >= FACE_SIZE - BORDER) {
            *value = 0.0;
        }
    }
    mask
}

/// Each row convolved with the kernel, with zeros outside the mask.
fn convolve_rows(mask: &Array2<f32>, kernel: &[f32]) -> Array2<f32> {
    let radius = kernel.len() / 2;
    let mut convolved = Array2::zeros(mask.dim());
    for (from, mut to) in mask.outer_iter().zip(convolved.outer_iter_mut()) {
        let mut padded = vec![0.0; from.len() + 2 * radius];
        padded[radius..][..from.len()].iter_mut().zip(from).for_each(|(padded, value)| *padded = *value);
        for (at, value) in to.iter_mut().enumerate() {
            *value = padded[at..].iter().zip(kernel).map(|(value, weight)| value * weight).sum();
        }
    }
    convolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_class_decides_and_the_mask_is_soft() {
        let mut classes = ndarray::Array3::zeros((CLASSES, FACE_SIZE, FACE_SIZE));
        // The left half is skin, the rest hair.
        classes.slice_mut(ndarray::s![17, .., ..]).fill(1.0);
        classes.slice_mut(ndarray::s![1, .., ..FACE_SIZE / 2]).fill(2.0);
        let mask = soften(&face_classes(classes.view()));
        let row: Vec<f32> = mask.row(256).to_vec();
        assert!(row[5] == 0.0 && row[120] > 0.999 && row[400] < 0.001);
        assert!((row[255] + row[256] - 1.0).abs() < 0.05, "{} {}", row[255], row[256]);
        assert!(row[60..450].windows(2).all(|pair| (pair[0] - pair[1]).abs() < 0.03));
    }
}
