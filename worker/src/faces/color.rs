//! The colours of a face are the picture's own. A restorer shifts skin and light a little, over whole regions of the face; what changes
//! slowly across a restored face is therefore taken from the picture, and only the detail from the restorer.

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Zip};
use remaster_engine::Tensor;

use super::align::FACE_SIZE;

/// Means are taken over squares of so many pixels of the aligned face. What differs from one to the next changes slowly.
const SQUARE: usize = 32;

/// How many squares a side has.
const SQUARES: usize = FACE_SIZE / SQUARE;

/// Gives the `restored` faces the slow changes of the same faces as the picture has them, both `[n, 3, 512, 512]`, 0..=1. What is outside of
/// the picture, where `inside`, `[512, 512]` of each face, is 0 and not 1, has no part in it.
pub(super) fn keep_colors(restored: &mut Tensor, own: &Tensor, inside: &[Array2<f32>]) {
    for ((mut restored, own), inside) in restored.outer_iter_mut().zip(own.outer_iter()).zip(inside) {
        let counts = sums(inside.view());
        for (mut restored, own) in restored.axis_iter_mut(Axis(0)).zip(own.axis_iter(Axis(0))) {
            let differences = (&own - &restored) * inside;
            add_slowly(&mut restored, &sums(differences.view()), &counts);
        }
    }
}

/// The sum of each square.
fn sums(values: ArrayView2<'_, f32>) -> Array2<f32> {
    let mut sums = Array2::zeros((SQUARES, SQUARES));
    Zip::from(&mut sums).and(values.exact_chunks((SQUARE, SQUARE))).for_each(|sum, square| *sum = square.sum());
    sums
}

/// Adds the means of the squares, interpolated between their centres and clamped to 0..=1 together with what they are added to.
fn add_slowly(values: &mut ArrayViewMut2<'_, f32>, sums: &Array2<f32>, counts: &Array2<f32>) {
    // The two squares on a side between whose centres a pixel is, and the weight of the second one.
    let between = |at: usize| {
        let place = ((at as f32 + 0.5) / SQUARE as f32 - 0.5).clamp(0.0, (SQUARES - 1) as f32);
        let first = (place as usize).min(SQUARES - 2);
        (first, place - first as f32)
    };
    let places: Vec<(usize, f32)> = (0..FACE_SIZE).map(between).collect();
    for ((y, x), value) in values.indexed_iter_mut() {
        let ((row, down), (column, across)) = (places[y], places[x]);
        let interpolated = |grid: &Array2<f32>| {
            let [upper, lower] =
                [row, row + 1].map(|row| grid[(row, column)] * (1.0 - across) + grid[(row, column + 1)] * across);
            upper * (1.0 - down) + lower * down
        };
        let count = interpolated(counts);
        if count > 0.0 {
            *value = (*value + interpolated(sums) / count).clamp(0.0, 1.0);
        }
    }
}
