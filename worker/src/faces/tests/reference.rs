//! Alignment and crop against plain implementations that are written down here.

use proptest::prelude::*;

use super::fixtures::{similarity, smooth};
use crate::faces::{LANDMARK_TEMPLATE, Point, Similarity, crop};
use crate::picture::fixtures::eight_bit;
use crate::picture::{Layout, Picture};

/// The normal equations of u = a x - b y + c, v = b x + a y + d, solved by elimination.
fn by_elimination(from: &[Point; 5], to: &[Point; 5]) -> [f64; 4] {
    let mut system = [[0.0; 5]; 4];
    for ([x, y], [u, v]) in from.iter().zip(to) {
        for (row, value) in [([*x, -*y, 1.0, 0.0], *u), ([*y, *x, 0.0, 1.0], *v)] {
            for i in 0..4 {
                (0..4).for_each(|j| system[i][j] += row[i] * row[j]);
                system[i][4] += row[i] * value;
            }
        }
    }
    for i in 0..4 {
        let pivot = (i..4).max_by(|a, b| system[*a][i].abs().total_cmp(&system[*b][i].abs())).unwrap();
        system.swap(i, pivot);
        for other in (0..4).filter(|other| *other != i) {
            let factor = system[other][i] / system[i][i];
            (0..5).for_each(|j| system[other][j] -= factor * system[i][j]);
        }
    }
    std::array::from_fn(|i| system[i][4] / system[i][i])
}

proptest! {
    #[test]
    fn alignment_is_the_least_squares_solution(
        scale in 0.05..8.0,
        angle in -3.1..3.1,
        [tx, ty] in [-900.0..900.0, -900.0..900.0],
        noise in prop::array::uniform5([-30.0..30.0, -30.0..30.0]),
        there in [-50.0..50.0, -50.0..50.0],
    ) {
        let place = similarity(scale, angle, [tx, ty]);
        let noisy = |at: usize| [0, 1].map(|axis| LANDMARK_TEMPLATE[at][axis] + noise[at][axis]);
        let from = [0, 1, 2, 3, 4].map(|at| place.apply(noisy(at)));
        let fitted = Similarity::fit(&from, &LANDMARK_TEMPLATE).unwrap();
        let [a, b, c, d] = by_elimination(&from, &LANDMARK_TEMPLATE);
        let got = [fitted.a, fitted.b, fitted.tx / 1000.0, fitted.ty / 1000.0];
        for (got, expected) in got.into_iter().zip([a, b, c / 1000.0, d / 1000.0]) {
            prop_assert!((got - expected).abs() < 1e-8, "{got} {expected}");
        }
        let back = fitted.inverse().apply(fitted.apply(there));
        prop_assert!((0..2).all(|axis| (back[axis] - there[axis]).abs() < 1e-8));
    }

    #[test]
    fn pixel_edges_stay_where_they_are_when_a_picture_is_enlarged(
        align_scale in 0.1..8.0,
        angle in -3.1..3.1,
        pixel in [0_usize..500, 0_usize..500],
        scale in 1_usize..=4,
    ) {
        let align = similarity(align_scale, angle, [20.0, -30.0]);
        // The left edge of a pixel is half a pixel before its centre, at every size.
        let small = pixel.map(|at| at as f64 - 0.5);
        let large = pixel.map(|at| (at * scale) as f64 - 0.5);
        let (expected, got) = (align.apply(small), align.from_enlarged(scale).apply(large));
        prop_assert!((0..2).all(|axis| (expected[axis] - got[axis]).abs() < 1e-9), "{expected:?} {got:?}");
    }
}

#[test]
fn landmarks_without_extent_or_value_have_no_alignment() {
    assert_eq!(Similarity::fit(&[[3.0, 4.0]; 5], &LANDMARK_TEMPLATE), None);
    assert_eq!(Similarity::fit(&[[f64::NAN, 4.0]; 5], &LANDMARK_TEMPLATE), None);
}

/// One channel at (x, y), 0..=1, as the sum of four weighted pixels; gray outside.
fn bilinear(picture: &Picture, channel: usize, x: f64, y: f64) -> f64 {
    let mut sum = 0.0;
    for (ix, iy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let (px, py) = (x.floor() as isize + ix, y.floor() as isize + iy);
        let weight = (1.0 - (x - px as f64).abs()) * (1.0 - (y - py as f64).abs());
        let inside = px >= 0 && py >= 0 && px < picture.width as isize && py < picture.height as isize;
        let at = || (py * picture.width as isize + px) as usize * 3 + channel;
        sum += weight * if inside { f64::from(eight_bit(picture)[at()]) } else { [132.0, 133.0, 135.0][channel] };
    }
    sum / 255.0
}

proptest! {
    // Each case crops a whole face.
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_crop_is_the_bilinear_warp(
        scale in prop_oneof![0.15..1.0, 1.0..9.0],
        angle in -3.1..3.1,
        [x, y] in [20.0..70.0, 20.0..50.0],
        pixels in prop::collection::vec((0_usize..512, 0_usize..512, 0_usize..3), 200),
    ) {
        let picture = smooth(90, 70, Layout::Rgb);
        let align = similarity(scale, angle, [0.0, 0.0]);
        let [u, v] = align.apply([x, y]);
        let align = Similarity { tx: 256.0 - u, ty: 256.0 - v, ..align };
        let (face, back) = (crop(&picture, &align), align.inverse());
        let parts = ((1.0 / align.scale()) as usize).max(1);
        for (u, v, channel) in pixels {
            let (mut expected, mut near_edge) = (0.0, false);
            for part in 0..parts * parts {
                let shift = |part: usize| (part as f64 + 0.5) / parts as f64 - 0.5;
                let [x, y] = back.apply([u as f64 + shift(part % parts), v as f64 + shift(part / parts)]);
                expected += bilinear(&picture, channel, x, y) / (parts * parts) as f64;
                // Where edge pixels are repeated is tested by an unchanged face at the edge of a picture.
                let repeat = 3.0 + 2.0 / scale;
                near_edge |= (x < 0.0 && x > -repeat) || (x > 89.0 && x < 89.0 + repeat);
                near_edge |= (y < 0.0 && y > -repeat) || (y > 69.0 && y < 69.0 + repeat);
            }
            let got = f64::from(face[(0, channel, v, u)]);
            prop_assert!(near_edge || (got - expected).abs() < 1e-4, "at {u},{v}: {got} {expected}");
        }
    }
}
