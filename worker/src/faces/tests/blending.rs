//! The way of a face through restoration back into the picture, with restorers that do plain arithmetic.

use std::f32::consts::TAU;
use std::sync::Arc;

use async_trait::async_trait;
use remaster_engine::{Engine, EngineError, Network, SharedEngine, Tensor};
use remaster_shared::job::ModelId;

use super::fixtures::{face, smooth};
use crate::faces::mask::{BlendMasks, Outline};
use crate::faces::{Detector, Face, FaceModels, FacesError, Restoration, Similarity, restore};
use crate::output::OutputError;
use crate::picture::fixtures::eight_bit;
use crate::picture::{Layout, Picture, Samples, Strip, enlarge};

/// A network that applies a function to each value of a face, -1..=1, and its column.
struct Restorer(fn(f32, usize) -> f32);

/// What [`waves`] adds at most.
const AMPLITUDE: f32 = 0.2;

/// Adds detail to a face: upright waves, 16 pixels long.
fn waves(value: f32, column: usize) -> f32 {
    value + AMPLITUDE * (column as f32 * TAU / 16.0).cos()
}

#[async_trait]
impl Engine for Restorer {
    async fn network(&self, _model: &ModelId) -> Result<Network, EngineError> {
        Ok(Network { scale: 1, overlap: 0, tile_area: 640 * 640, drawings: false })
    }

    async fn run(&self, _model: &ModelId, mut input: Tensor) -> Result<Tensor, EngineError> {
        // Two faces fit into memory.
        if input.dim().0 > 2 {
            return Err(EngineError::OutOfMemory("three".into()));
        }
        input.indexed_iter_mut().for_each(|((.., column), value)| *value = self.0(*value, column));
        Ok(input)
    }
}

struct Case {
    source: Picture,
    faces: Vec<Face>,
    scale: usize,
    strength: f64,
}

impl Case {
    fn new(faces: &[Face], scale: usize) -> Self {
        Self { source: smooth(300, 240, Layout::Rgb), faces: faces.to_vec(), scale, strength: 1.0 }
    }

    /// The picture that faces are blended into.
    fn plain(&self) -> Picture {
        enlarge(&self.source, 0..self.source.height, self.scale).unwrap().rows
    }

    async fn run(&self, change: fn(f32, usize) -> f32) -> Result<(Picture, usize), FacesError> {
        let engine: SharedEngine = Arc::new(Restorer(change));
        let id = |id: &str| ModelId::parse(id).unwrap();
        let models = FaceModels { detector: Detector::Yunet(id("yunet")), restorer: id("restorer"), parser: None };
        let restoration = Restoration {
            engine: &engine,
            models: &models,
            source: Arc::new(self.source.clone()),
            faces: &self.faces,
            scale: self.scale,
            strength: self.strength,
            grain: 0.0,
        };
        let restored = restore(restoration, &|_| ()).await?;
        let (plain, mut made): (_, Option<Picture>) = (self.plain(), None);
        for top in (0..plain.height).step_by(77) {
            let mut rows = plain.clone();
            rows.crop_rows(top..(top + 77).min(plain.height));
            let mut strip = Strip { top, rows };
            restored.blend(&mut strip);
            match &mut made {
                None => made = Some(strip.rows),
                Some(made) => made.append(strip.rows),
            }
        }
        Ok((made.unwrap(), restored.count()))
    }
}

/// The difference of each sample.
fn difference(a: &Picture, b: &Picture) -> Vec<i32> {
    eight_bit(a).iter().zip(eight_bit(b)).map(|(a, b)| i32::from(*a) - i32::from(*b)).collect()
}

/// One rotated face; two that the edges of the picture cut; two that overlap; five that overlap.
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
    for scale in [2, 4] {
        for faces in arrangements() {
            let case = Case::new(&faces, scale);
            let (made, restored) = case.run(|value, _| value).await.unwrap();
            assert_eq!(restored, faces.len());
            let differences = difference(&made, &case.plain());
            // The picture is rounded when it is enlarged, and once more when the face is blended in.
            assert!(differences.iter().all(|by| by.abs() <= 2), "{scale}: {:?}", differences.iter().max());
        }
    }
}

#[tokio::test]
async fn outside_of_faces_nothing_changes() {
    for scale in [2, 4] {
        for faces in arrangements() {
            let case = Case::new(&faces, scale);
            let (made, _) = case.run(waves).await.unwrap();
            let plain = case.plain();
            let aligns: Vec<_> =
                faces.iter().map(|face| Similarity::aligning(face).unwrap().from_enlarged(scale)).collect();
            let inside = |x: usize, y: usize| {
                let points = aligns.iter().map(|align| align.apply([x as f64, y as f64]));
                points
                    .flatten()
                    .collect::<Vec<_>>()
                    .chunks(2)
                    .any(|point| point.iter().all(|at| (0.0..=511.0).contains(at)))
            };
            let mut changed = 0;
            for (index, by) in difference(&made, &plain).into_iter().enumerate() {
                let at = index / 3;
                assert!(by == 0 || inside(at % plain.width, at / plain.width), "{scale} at {at}");
                changed += usize::from(by.abs() > 10);
            }
            assert!(changed > 1000, "{scale}: {changed}");
        }
    }
}

#[test]
fn there_is_no_visible_step() {
    for scale in [2, 4] {
        for faces in arrangements() {
            let plain = Case::new(&faces, scale).plain();
            let align = |face| Similarity::aligning(face).unwrap().from_enlarged(scale);
            let aligns: Vec<_> = faces.iter().map(align).collect();
            let masks = BlendMasks::new(&aligns, &vec![1.0; faces.len()], Outline::Oval, (plain.width, plain.height));
            // What the picture becomes where it is black, if each face is white.
            let white =
                |x, y| (0..faces.len()).fold(0.0, |under, face| under + (1.0 - under) * masks.opacity(face, x, y));
            // The steepest slope of a feather of a tenth of the smallest square, and twice that for the border between two faces.
            let smallest = 90.0 * scale as f64;
            let steepest = 2.0 * 1.5 / (smallest / 10.0);
            for y in 0..plain.height - 1 {
                for x in 0..plain.width - 1 {
                    let step = (white(x + 1, y) - white(x, y)).abs().max((white(x, y + 1) - white(x, y)).abs());
                    assert!(step < steepest, "{scale} at {x},{y}: {step} over {steepest}");
                }
            }
        }
    }
}

/// A restorer that only changes colours changes nothing: the waves of the picture are all longer than what counts as detail of a face.
#[tokio::test]
async fn a_face_keeps_the_colors_of_the_picture() {
    for (number, faces) in arrangements().into_iter().enumerate() {
        let case = Case::new(&faces, 2);
        let changes: [fn(f32, usize) -> f32; 3] =
            [|value, _| 0.8 * value + 0.1, |_, _| 1.0, |value, _| 0.5 * value - 0.2];
        for change in changes {
            let (made, _) = case.run(change).await.unwrap();
            let worst = difference(&made, &case.plain()).into_iter().map(i32::abs).max();
            // Where the edge of the picture cuts a square of which a mean is taken, the mean is that of a part.
            assert!(worst.unwrap() <= if number == 1 { 20 } else { 8 }, "{number}: {worst:?}");
        }
    }
}

#[test]
fn overlapping_faces_leave_no_gap_and_each_dominates_at_its_centre() {
    let faces = [face(150.0, 0.1, [150.0, 150.0]), face(150.0, 0.0, [220.0, 150.0]), face(60.0, 0.3, [185.0, 170.0])];
    let aligns: Vec<_> = faces.iter().map(|face| Similarity::aligning(face).unwrap()).collect();
    let masks = BlendMasks::new(&aligns, &[1.0; 3], Outline::Square, (400, 300));
    let alone: Vec<_> =
        aligns.iter().map(|align| BlendMasks::new(&[*align], &[1.0], Outline::Square, (400, 300))).collect();
    for y in 0..300 {
        for x in 0..400 {
            let left = (0..3).fold(1.0, |left, face| left * (1.0 - masks.opacity(face, x, y)));
            let strongest = alone.iter().map(|mask| mask.opacity(0, x, y)).fold(0.0, f64::max);
            assert!((1.0 - left - strongest).abs() < 1e-9, "{x},{y}: {left} {strongest}");
        }
    }
    // Each face dominates at its own centre.
    assert!(masks.opacity(2, 185, 170) > 0.85);
    assert!(masks.opacity(1, 160, 165) < 0.15 && masks.opacity(1, 215, 165) > 0.85);
}

#[tokio::test]
async fn strength_mixes_with_the_enlarged_face() {
    let mut case = Case::new(&[face(130.0, 0.5, [150.0, 120.0])], 2);
    let (whole, _) = case.run(waves).await.unwrap();
    case.strength = 0.5;
    let (half, _) = case.run(waves).await.unwrap();
    for ((plain, half), whole) in eight_bit(&case.plain()).iter().zip(eight_bit(&half)).zip(eight_bit(&whole)) {
        let middle = (f64::from(*plain) + f64::from(*whole)) / 2.0;
        assert!((f64::from(*half) - middle).abs() <= 1.0);
    }
    case.strength = 0.0;
    assert_eq!(case.run(waves).await.unwrap().0, case.plain());
}

/// A large face is sharp already, and a restorer that works at 512 pixels would take its detail away.
#[tokio::test]
async fn a_face_is_restored_the_less_the_larger_it_is() {
    let at = |side: f64| Case {
        source: smooth(1200, 1200, Layout::Rgb),
        ..Case::new(&[face(side, 0.0, [600.0, 600.0])], 2)
    };
    for (side, share) in [(500.0, 1.0), (756.0, 0.5), (878.0, 0.25)] {
        let case = at(side);
        let (made, restored) = case.run(waves).await.unwrap();
        // The waves' crests, about the middle of the face.
        let by = difference(&made, &case.plain());
        let middle = (1100..1300).flat_map(|y| by[(y * made.width + 1100) * 3..][..600].iter());
        let got = f64::from(middle.max().copied().unwrap()) / (f64::from(AMPLITUDE) / 2.0 * 255.0);
        assert!(restored == 1 && (got - share).abs() < 0.06, "{side}: {got}");
    }
    let sharp = at(1010.0);
    // The restorer is not even run.
    let (made, restored) = sharp.run(|_, _| f32::NAN).await.unwrap();
    assert_eq!((made == sharp.plain(), restored), (true, 0));
}

#[tokio::test]
async fn a_broken_face_fails_the_picture_and_a_tiny_one_is_left_alone() {
    let case = Case::new(&[face(130.0, 0.5, [150.0, 120.0])], 2);
    let error = case.run(|_, _| f32::NAN).await.unwrap_err();
    assert!(matches!(error, FacesError::Output(OutputError::NotFinite(_))), "{error}");
    // The eyes are a quarter of the square apart.
    let tiny = Case::new(&[face(19.0, 0.0, [150.0, 120.0]), face(22.0, 0.0, [50.0, 120.0])], 2);
    assert_eq!(tiny.run(waves).await.unwrap().1, 1);
}

#[tokio::test]
async fn gray_and_alpha_stay_what_they_are() {
    for layout in [Layout::Gray, Layout::GrayAlpha, Layout::Rgba] {
        let mut case = Case::new(&[face(130.0, 0.5, [150.0, 120.0])], 2);
        case.source = smooth(300, 240, layout);
        let plain = case.plain();
        let (same, _) = case.run(|value, _| value).await.unwrap();
        // Lanczos weights colours by alpha and rounds the result to 8 bits.
        assert!(difference(&same, &plain).iter().all(|by| by.abs() <= 8), "{layout:?}");
        let (changed, _) = case.run(waves).await.unwrap();
        let by = difference(&changed, &plain);
        for (index, by) in by.iter().enumerate() {
            assert!(index % layout.channels() < layout.color_channels() || *by == 0);
        }
        assert_eq!(changed.layout, layout);
        assert!(by.iter().max().unwrap() > &20, "{layout:?}");
    }
}

#[tokio::test]
async fn sixteen_bits_are_kept() {
    let mut case = Case::new(&[face(130.0, 0.5, [150.0, 120.0])], 2);
    let wide: Vec<u16> = eight_bit(&case.source).iter().map(|sample| u16::from(*sample) * 7).collect();
    case.source.samples = Samples::U16(wide);
    let (same, _) = case.run(|value, _| value).await.unwrap();
    let (Samples::U16(got), Samples::U16(plain)) = (same.samples, case.plain().samples) else { panic!() };
    // A detour over 8 bits would leave steps of 257.
    let worst = got.iter().zip(&plain).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(worst.unwrap() <= 12, "{worst:?}");
    let (changed, _) = case.run(waves).await.unwrap();
    let Samples::U16(changed) = changed.samples else { panic!() };
    assert!(changed.iter().zip(&plain).any(|(a, b)| a.abs_diff(*b) > 3000));
}
