//! Alignment and crop against plain implementations written down here.

use super::{Seeded, samples, similarity, smooth};
use crate::faces::{Point, Similarity, TEMPLATE, crop};
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

#[test]
fn alignment_is_the_least_squares_solution() {
    let mut seeded = Seeded(1);
    for _ in 0..200 {
        let place =
            similarity(seeded.between(0.05, 8.0), seeded.between(-3.1, 3.1), [seeded.between(-900.0, 900.0), 7.0]);
        let noise = seeded.between(0.0, 20.0);
        let from = TEMPLATE.map(|point| place.apply(point).map(|at| at + seeded.between(-noise, noise)));
        let fitted = Similarity::fit(&from, &TEMPLATE).unwrap();
        let [a, b, c, d] = by_elimination(&from, &TEMPLATE);
        let got = [fitted.cos, fitted.sin, fitted.right / 1000.0, fitted.down / 1000.0];
        for (got, expected) in got.into_iter().zip([a, b, c / 1000.0, d / 1000.0]) {
            assert!((got - expected).abs() < 1e-8, "{got} {expected}");
        }
        let there = [seeded.between(-50.0, 50.0), seeded.between(-50.0, 50.0)];
        let back = fitted.inverse().apply(fitted.apply(there));
        assert!((0..2).all(|axis| (back[axis] - there[axis]).abs() < 1e-8));
    }
    assert_eq!(Similarity::fit(&[[3.0, 4.0]; 5], &TEMPLATE), None);
    assert_eq!(Similarity::fit(&[[f64::NAN, 4.0]; 5], &TEMPLATE), None);
}

#[test]
fn pixel_edges_stay_where_they_are_when_a_picture_is_enlarged() {
    let align = similarity(1.7, 0.4, [20.0, -30.0]);
    for factor in [1, 2, 4] {
        // The left edge of a pixel is half a pixel before its centre, at every size.
        let (small, large) = ([10.0 - 0.5, 20.0 - 0.5], [(10 * factor) as f64 - 0.5, (20 * factor) as f64 - 0.5]);
        let (expected, got) = (align.apply(small), align.from_enlarged(factor).apply(large));
        assert!((0..2).all(|axis| (expected[axis] - got[axis]).abs() < 1e-9), "{factor}: {expected:?} {got:?}");
    }
}

/// One channel at (x, y), by the textbook; gray outside.
fn bilinear(picture: &Picture, channel: usize, x: f64, y: f64) -> f64 {
    let mut sum = 0.0;
    for (ix, iy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let (px, py) = (x.floor() as isize + ix, y.floor() as isize + iy);
        let weight = (1.0 - (x - px as f64).abs()) * (1.0 - (y - py as f64).abs());
        let inside = px >= 0 && py >= 0 && px < picture.width as isize && py < picture.height as isize;
        let at = (py * picture.width as isize + px) as usize * 3 + channel;
        sum += weight * if inside { f64::from(samples(picture)[at]) } else { [132.0, 133.0, 135.0][channel] };
    }
    sum / 255.0
}

#[test]
fn a_crop_is_the_bilinear_warp() {
    let picture = smooth(90, 70, Layout::Rgb);
    let mut seeded = Seeded(2);
    for scale in [0.2, 0.45, 0.7, 1.0, 3.0, 9.0] {
        let [x, y] = [seeded.between(20.0, 70.0), seeded.between(20.0, 50.0)];
        let align = similarity(scale, seeded.between(-3.0, 3.0), [0.0, 0.0]);
        let [u, v] = align.apply([x, y]);
        let align = Similarity { right: 256.0 - u, down: 256.0 - v, ..align };
        let (got, back) = (crop(&picture, &align), align.inverse());
        let parts = ((1.0 / scale) as usize).max(1);
        for _ in 0..3000 {
            let (u, v) = ((seeded.next() * 511.99) as usize, (seeded.next() * 511.99) as usize);
            let channel = u % 3;
            let (mut expected, mut near_edge) = (0.0, false);
            for part in 0..parts * parts {
                let shift = |part: usize| (part as f64 + 0.5) / parts as f64 - 0.5;
                let [x, y] = back.apply([u as f64 + shift(part % parts), v as f64 + shift(part / parts)]);
                expected += bilinear(&picture, channel, x, y) / (parts * parts) as f64;
                // The rim, where the edge's pixels go on, is tested by the unchanged face.
                let rim = 3.0 + 2.0 / scale;
                near_edge |= (x < 0.0 && x > -rim) || (x > 89.0 && x < 89.0 + rim);
                near_edge |= (y < 0.0 && y > -rim) || (y > 69.0 && y < 69.0 + rim);
            }
            let got = f64::from(got[(0, channel, v, u)]);
            assert!(near_edge || (got - expected).abs() < 1e-4, "{scale} at {u},{v}: {got} {expected}");
        }
    }
}
