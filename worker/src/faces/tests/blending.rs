//! The way of a face through restoration back into the picture, with restorers that do arithmetic.

use std::sync::Arc;

use async_trait::async_trait;
use remaster_shared::job::ModelId;

use super::{face, samples, smooth};
use crate::enhance::EnhanceError;
use crate::faces::mask::Masks;
use crate::faces::{Detector, Face, FaceModels, Restoration, Similarity, restore};
use crate::picture::{Layout, Picture, Samples};
use crate::upscale::enlarge;
use remaster_engine::{Engine, EngineError, Network, SharedEngine, Tensor};

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
