//! Alignment, crop and paste against plain implementations written down here, and the way of an unchanged face.

use std::sync::Arc;

use async_trait::async_trait;

use super::align::{SIDE, Similarity, TEMPLATE};
use super::mask::Masks;
use super::models::{Detector, FaceModels};
use super::{Area, Face, Point, Restoration, crop, restore};
use crate::engine::{Engine, EngineError, Network, SharedEngine, Tensor};
use crate::enhance::EnhanceError;
use crate::picture::{Layout, Metadata, Picture, Samples};
use crate::upscale::enlarge;
use remaster_shared::job::ModelId;

/// Numbers in 0..1 from a seed.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }

    fn between(&mut self, from: f64, to: f64) -> f64 {
        from + (to - from) * self.next()
    }
}

fn similarity(scale: f64, angle: f64, [right, down]: Point) -> Similarity {
    Similarity { cos: scale * angle.cos(), sin: scale * angle.sin(), right, down }
}

/// A face whose aligned square is `side` pixels wide, turned by `angle`, with its middle at `middle`.
fn face(side: f64, angle: f64, middle: Point) -> Face {
    let turn = similarity(side / SIDE as f64, angle, [0.0, 0.0]);
    let [x, y] = turn.apply([255.5, 255.5]);
    let place = Similarity { right: middle[0] - x, down: middle[1] - y, ..turn };
    let area = Area { left: 0.0, top: 0.0, width: 0.0, height: 0.0 };
    Face { score: 1.0, area, landmarks: TEMPLATE.map(|point| place.apply(point)) }
}

/// Waves so long that every way of interpolating agrees.
fn smooth(width: usize, height: usize, layout: Layout) -> Picture {
    let wave = |x: usize, y: usize, channel: usize| {
        let phase = x as f64 / (23.0 + channel as f64) + y as f64 / (31.0 - channel as f64);
        128.0 + 90.0 * phase.sin()
    };
    let channels = layout.channels();
    let at = |index: usize| wave(index / channels % width, index / channels / width, index % channels);
    let samples = Samples::U8((0..width * height * channels).map(|index| at(index) as u8).collect());
    Picture { width, height, layout, samples, metadata: Metadata::default() }
}

fn samples(picture: &Picture) -> &[u8] {
    let Samples::U8(samples) = &picture.samples else { panic!() };
    samples
}

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

/// Gives each face changed by a function of its sample's value.
struct Restorer(fn(f32) -> f32);

#[async_trait]
impl Engine for Restorer {
    async fn network(&self, _model: &ModelId) -> Result<Network, EngineError> {
        Ok(Network { scale: 1, overlap: 0 })
    }

    async fn run(&self, _model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        // Two faces fit.
        if input.dim().0 > 2 { Err(EngineError::OutOfMemory("three".into())) } else { Ok(input.mapv_into(self.0)) }
    }
}

struct Case {
    source: Picture,
    faces: Vec<Face>,
    factor: usize,
    strength: f64,
}

impl Case {
    fn new(faces: &[Face], factor: usize) -> Self {
        Self { source: smooth(300, 240, Layout::Rgb), faces: faces.to_vec(), factor, strength: 1.0 }
    }

    fn plain(&self) -> Picture {
        enlarge(&self.source, self.factor).unwrap()
    }

    async fn run(&self, change: fn(f32) -> f32) -> Result<(Picture, usize), EnhanceError> {
        let engine: SharedEngine = Arc::new(Restorer(change));
        let id = |id: &str| ModelId::parse(id).unwrap();
        let models = FaceModels { detector: Detector::Yunet(id("yunet")), restorer: id("restorer"), parser: None };
        let work = Restoration {
            engine: &engine,
            models: &models,
            source: Arc::new(self.source.clone()),
            faces: &self.faces,
            factor: self.factor,
            strength: self.strength,
        };
        restore(work, self.plain(), &|_| ()).await
    }
}

fn apart(a: &Picture, b: &Picture) -> Vec<i32> {
    samples(a).iter().zip(samples(b)).map(|(a, b)| i32::from(*a) - i32::from(*b)).collect()
}

/// In the middle and turned; cut by the picture's edges; two, and five, that overlap.
fn arrangements() -> Vec<Vec<Face>> {
    let many = (0..5).map(|at| face(90.0, 0.2 * at as f64, [100.0 + 25.0 * at as f64, 110.0])).collect();
    vec![
        vec![face(130.0, 0.5, [150.0, 120.0])],
        vec![face(160.0, -0.2, [20.0, 60.0]), face(120.0, 0.0, [299.0, 239.0])],
        vec![face(140.0, 0.1, [120.0, 120.0]), face(110.0, -0.6, [190.0, 130.0])],
        many,
    ]
}

#[tokio::test]
async fn an_unchanged_face_leaves_the_picture_as_it_was() {
    for factor in [2, 4] {
        for faces in arrangements() {
            let case = Case::new(&faces, factor);
            let (made, restored) = case.run(|value| value).await.unwrap();
            assert_eq!(restored, faces.len());
            let difference = apart(&made, &case.plain());
            // One for each rounding on the way.
            assert!(difference.iter().all(|by| by.abs() <= 2), "{factor}: {:?}", difference.iter().max());
        }
    }
}

#[tokio::test]
async fn outside_of_faces_nothing_changes_and_no_step_shows() {
    for factor in [2, 4] {
        for faces in arrangements() {
            let smallest = 90.0 * factor as f64;
            let case = Case::new(&faces, factor);
            // As far from the picture as can be.
            let (made, _) = case.run(|_| 1.0).await.unwrap();
            let plain = case.plain();
            let aligns: Vec<_> = faces.iter().map(|face| Similarity::of(face).unwrap().from_enlarged(factor)).collect();
            let change = |x: usize, y: usize| {
                let at = (y * plain.width + x) * 3;
                let room = 255.0 - f64::from(samples(&plain)[at]);
                (f64::from(samples(&made)[at]) - f64::from(samples(&plain)[at])) / room
            };
            // The steepest that a feather of a tenth of the smallest square may be, with some for rounding and for the
            // border between two faces.
            let steepest = 2.0 * 1.5 / (smallest / 10.0) + 0.02;
            for y in 0..plain.height - 1 {
                for x in 0..plain.width - 1 {
                    let here = change(x, y);
                    let inside = aligns.iter().any(|align| {
                        let point = align.apply([x as f64, y as f64]);
                        point.iter().all(|at| (0.0..=511.0).contains(at))
                    });
                    assert!(inside || here == 0.0, "{factor} at {x},{y}");
                    let step = (change(x + 1, y) - here).abs().max((change(x, y + 1) - here).abs());
                    assert!(step < steepest, "{factor} at {x},{y}: {step} over {steepest}");
                }
            }
        }
    }
}

#[test]
fn overlapping_faces_leave_no_hole_and_each_keeps_its_own() {
    let picture = smooth(400, 300, Layout::Rgb);
    let faces = [face(150.0, 0.1, [150.0, 150.0]), face(150.0, 0.0, [220.0, 150.0]), face(60.0, 0.3, [185.0, 170.0])];
    let aligns: Vec<_> = faces.iter().map(|face| Similarity::of(face).unwrap()).collect();
    let masks = Masks::new(&aligns, &picture, 1.0);
    let alone: Vec<_> = aligns.iter().map(|align| Masks::new(&[*align], &picture, 1.0)).collect();
    for y in 0..300 {
        for x in 0..400 {
            let left = (0..3).fold(1.0, |left, face| left * (1.0 - masks.cover(face, x, y)));
            let strongest = alone.iter().map(|mask| mask.cover(0, x, y)).fold(0.0, f64::max);
            assert!((1.0 - left - strongest).abs() < 1e-9, "{x},{y}: {left} {strongest}");
        }
    }
    // The last face is laid over the others; in its own middle it is all there is, in theirs it is next to nothing.
    assert!(masks.cover(2, 185, 170) > 0.85);
    assert!(masks.cover(1, 160, 165) < 0.15 && masks.cover(1, 215, 165) > 0.85);
}

#[tokio::test]
async fn strength_mixes_with_the_enlarged_face() {
    let mut case = Case::new(&[face(130.0, 0.5, [150.0, 120.0])], 2);
    let (whole, _) = case.run(|_| 1.0).await.unwrap();
    case.strength = 0.5;
    let (half, _) = case.run(|_| 1.0).await.unwrap();
    for ((plain, half), whole) in samples(&case.plain()).iter().zip(samples(&half)).zip(samples(&whole)) {
        let middle = (f64::from(*plain) + f64::from(*whole)) / 2.0;
        assert!((f64::from(*half) - middle).abs() <= 1.0);
    }
    case.strength = 0.0;
    assert_eq!(case.run(|_| 1.0).await.unwrap().0, case.plain());
}

#[tokio::test]
async fn a_broken_face_fails_the_picture_and_a_tiny_one_is_left_alone() {
    let case = Case::new(&[face(130.0, 0.5, [150.0, 120.0])], 2);
    let error = case.run(|_| f32::NAN).await.unwrap_err();
    assert!(matches!(error, EnhanceError::Engine(EngineError::Run(_))), "{error}");
    // Eyes are a quarter of the square apart.
    let tiny = Case::new(&[face(19.0, 0.0, [150.0, 120.0]), face(22.0, 0.0, [50.0, 120.0])], 2);
    assert_eq!(tiny.run(|_| 1.0).await.unwrap().1, 1);
}

#[tokio::test]
async fn gray_and_alpha_stay_what_they_are() {
    for layout in [Layout::Gray, Layout::GrayAlpha, Layout::Rgba] {
        let mut case = Case::new(&[face(130.0, 0.5, [150.0, 120.0])], 2);
        case.source = smooth(300, 240, layout);
        let plain = case.plain();
        let (same, _) = case.run(|value| value).await.unwrap();
        // Lanczos weighs colours by alpha, in 8 bits.
        assert!(apart(&same, &plain).iter().all(|by| by.abs() <= 8), "{layout:?}");
        let (white, _) = case.run(|_| 1.0).await.unwrap();
        let channels = layout.channels();
        for (index, by) in apart(&white, &plain).into_iter().enumerate() {
            assert!(index % channels < layout.colors() || by == 0);
        }
        assert_eq!(white.layout, layout);
        assert_eq!(samples(&white)[(240 * 600 + 300) * channels], 255);
    }
}

#[tokio::test]
async fn sixteen_bits_are_kept() {
    let mut case = Case::new(&[face(130.0, 0.5, [150.0, 120.0])], 2);
    let wide: Vec<u16> = samples(&case.source).iter().map(|sample| u16::from(*sample) * 7).collect();
    case.source.samples = Samples::U16(wide);
    let (same, _) = case.run(|value| value).await.unwrap();
    let (Samples::U16(got), Samples::U16(plain)) = (same.samples, case.plain().samples) else { panic!() };
    // A dark picture: an 8-bit way would show steps of 257.
    let worst = got.iter().zip(&plain).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst.unwrap() <= 12, "{worst:?}");
    let (white, _) = case.run(|_| 1.0).await.unwrap();
    let Samples::U16(white) = white.samples else { panic!() };
    assert_eq!(white[(240 * 600 + 300) * 3], 65535);
}
