//! Pictures with faces through the whole pipeline, with the real detector and a small network in the place of the
//! restorer (`models/reference/faces.py`: 0.8 x + a tint, of which the contrast of detail remains: colours are the picture's own).

use std::sync::Arc;

use async_trait::async_trait;
use futures::future::join_all;
use image::{ColorType, DynamicImage, ImageFormat, Rgb, RgbImage};
use remaster_engine::{
    Absent, Available, Engine, EngineError, Kind, Network, Output, SharedEngine, Tensor, fake::FakeEngine,
};
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{EnhanceParams, FaceMode, FaceReport, FaceStatus, ModelId, Scale};
use remaster_worker::OutputError;
use remaster_worker::enhance::EnhanceError;
use remaster_worker::faces::FacesError;
use remaster_worker::upscale::TileSettings;

use crate::fixtures::{Made, encoded, enhance, face, params, photo};
use crate::real::engine;

/// An engine in which models of some kinds are not installed.
struct Without(SharedEngine, Vec<Kind>);

#[async_trait]
impl Engine for Without {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        self.0.network(model).await
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        self.0.run(model, input).await
    }

    async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
        self.0.outputs(model, input).await
    }

    async fn installed(&self, kind: Kind) -> Vec<Available> {
        if self.1.contains(&kind) { Vec::new() } else { self.0.installed(kind).await }
    }
}

fn without(kinds: &[Kind]) -> SharedEngine {
    Arc::new(Without(engine(), kinds.to_vec()))
}

/// With a detector and a restorer, but without a parser.
fn plain() -> SharedEngine {
    without(&[Kind::FaceParser])
}

/// The background by Lanczos.
fn lanczos(faces: FaceMode) -> EnhanceParams {
    EnhanceParams { faces, background: false, ..params("not-installed", Scale::X2) }
}

async fn made(engine: &SharedEngine, input: &DynamicImage, params: &EnhanceParams) -> Result<Made, EnhanceError> {
    enhance(engine, TileSettings::default(), encoded(input, ImageFormat::Png), params).await
}

/// The part of the test photo with its face; the centre of the face is at (143, 120).
fn portrait() -> DynamicImage {
    photo(80, 0, 300, 260)
}

fn report(found: u32, restored: u32, status: FaceStatus) -> FaceReport {
    FaceReport { found, restored, status }
}

/// The mean of red less blue in a square of 40 x 40 pixels about (`x`, `y`).
fn warmth(image: &DynamicImage, x: u32, y: u32) -> f64 {
    let square = image.crop_imm(x - 20, y - 20, 40, 40).into_rgb8();
    square.pixels().map(|pixel| f64::from(pixel.0[0]) - f64::from(pixel.0[2])).sum::<f64>() / 1600.0
}

/// How much the green of neighbouring pixels differs in a square of 100 x 100 pixels about (`x`, `y`), on average.
fn detail(image: &DynamicImage, x: u32, y: u32) -> f64 {
    let square = image.crop_imm(x - 50, y - 50, 100, 100).into_rgb8();
    let step = |x, y| square.get_pixel(x, y).0[1].abs_diff(square.get_pixel(x + 4, y).0[1]);
    (0..100).flat_map(|y| (0..96).map(move |x| f64::from(step(x, y)))).sum::<f64>() / 9600.0
}

#[tokio::test]
async fn a_face_is_restored_where_it_is_and_the_rest_stays() {
    let (with, off) = (lanczos(FaceMode::Auto), lanczos(FaceMode::Off));
    let restored = made(&plain(), &portrait(), &with).await.unwrap();
    let plain_picture = made(&plain(), &portrait(), &off).await.unwrap();
    assert_eq!(restored.faces, report(1, 1, FaceStatus::Restored));
    assert_eq!(plain_picture.faces, report(0, 0, FaceStatus::Off));
    // The restorer's tint is 0.2 between red and blue, in a range of -1..=1, and is not taken over.
    let cheek = |image: &DynamicImage| warmth(image, 286, 240);
    let (got, own) = (cheek(&restored.image()), cheek(&plain_picture.image()));
    assert!((got - own).abs() < 2.0, "{got} {own}");
    let eyes = |image: &DynamicImage| detail(image, 286, 220);
    let share = eyes(&restored.image()) / eyes(&plain_picture.image());
    // 0.8 by the restorer, less by interpolation.
    assert!((0.65..0.85).contains(&share), "{share}");
    let (restored, plain_picture) = (restored.image().into_rgb8(), plain_picture.image().into_rgb8());
    for (x, y) in [(2, 2), (590, 10), (5, 515), (595, 515), (560, 300)] {
        assert_eq!(restored.get_pixel(x, y), plain_picture.get_pixel(x, y));
    }
}

#[tokio::test]
async fn a_face_is_restored_over_a_network_s_background_and_reproducibly() {
    let picture = DynamicImage::ImageRgb8(face(48.0, 10.0));
    let params = EnhanceParams { background: true, ..lanczos(FaceMode::Require) };
    for scale in [Scale::X2, Scale::X4] {
        let params =
            EnhanceParams { scale, model: ModelId::parse(remaster_testkit::SMALL_MODEL).unwrap(), ..params.clone() };
        let first = made(&plain(), &picture, &params).await.unwrap();
        assert_eq!(first.faces, report(1, 1, FaceStatus::Restored));
        assert_eq!(first.image().width(), picture.width() * scale.factor());
        assert!(first.file == made(&plain(), &picture, &params).await.unwrap().file, "the two files differ");
    }
}

#[tokio::test]
async fn a_missing_model_is_reported_and_the_picture_is_made_without_it() {
    let picture = portrait();
    let missing = report(0, 0, FaceStatus::ModelNotInstalled);
    let absent: SharedEngine = Arc::new(Absent);
    for engine in [without(&[Kind::Detector]), without(&[Kind::FaceRestorer]), absent] {
        let without = made(&engine, &picture, &lanczos(FaceMode::Auto)).await.unwrap();
        assert_eq!(without.faces, missing);
        let off = made(&engine, &picture, &lanczos(FaceMode::Off)).await.unwrap();
        assert!(without.file == off.file);
        let error = made(&engine, &picture, &lanczos(FaceMode::Require)).await.err().unwrap();
        assert!(matches!(error, EnhanceError::NoFaceModel));
        assert_eq!(error.public().code, ErrorCode::ModelUnavailable);
    }
    let faceless = DynamicImage::ImageRgb8(RgbImage::from_fn(200, 90, |x, y| Rgb([x as u8, y as u8, 40])));
    let none = made(&plain(), &faceless, &lanczos(FaceMode::Require)).await.unwrap();
    assert_eq!(none.faces, report(0, 0, FaceStatus::NoneFound));
}

#[tokio::test]
async fn faces_are_restored_in_every_depth_and_layout() {
    let rgb = portrait().into_rgb8();
    let mut rgba = DynamicImage::ImageRgb8(rgb.clone()).into_rgba8();
    rgba.enumerate_pixels_mut().for_each(|(x, _, pixel)| pixel.0[3] = (x / 2) as u8 + 60);
    let mut wide = DynamicImage::ImageRgb8(rgb.clone()).into_rgb16();
    // A dark picture that uses steps finer than those of 8 bits.
    wide.iter_mut().for_each(|sample| *sample = *sample / 4 + 3);
    let gray = DynamicImage::ImageRgb8(rgb).into_luma8();
    let cases = [
        (DynamicImage::ImageRgba8(rgba.clone()), ColorType::Rgba8),
        (DynamicImage::ImageRgb16(wide), ColorType::Rgb16),
        (DynamicImage::ImageLuma16(DynamicImage::ImageLuma8(gray.clone()).into_luma16()), ColorType::L16),
        (DynamicImage::ImageLuma8(gray), ColorType::L8),
    ];
    for (picture, color) in cases {
        let restored = made(&plain(), &picture, &lanczos(FaceMode::Auto)).await.unwrap();
        assert_eq!((restored.image().color(), restored.faces.restored), (color, 1));
        let plain = made(&plain(), &picture, &lanczos(FaceMode::Off)).await.unwrap().image();
        let at = |image: &DynamicImage| image.crop_imm(266, 220, 40, 40).into_rgb16();
        let (got, own) = (at(&restored.image()), at(&plain));
        assert!(got != own, "{color:?}");
        // The restorer weakens detail by a fifth, and bilinear interpolation is softer than Lanczos.
        for (got, own) in got.pixels().zip(own.pixels()) {
            assert!(got.0.iter().zip(own.0).all(|(got, own)| got.abs_diff(own) < 6000), "{color:?}: {got:?} {own:?}");
        }
        if color == ColorType::Rgba8 {
            let (got, own) = (restored.image().into_rgba8(), plain.into_rgba8());
            assert!(got.pixels().zip(own.pixels()).all(|(got, own)| got.0[3] == own.0[3]));
        }
    }
}

#[tokio::test]
async fn a_parser_limits_the_change_to_the_face() {
    let off = made(&plain(), &portrait(), &lanczos(FaceMode::Off)).await.unwrap().image().into_rgb8();
    let mut changed = Vec::new();
    for engine in [plain(), engine()] {
        let restored = made(&engine, &portrait(), &lanczos(FaceMode::Auto)).await.unwrap().image().into_rgb8();
        // The centre of the face is restored with and without a parser.
        assert_ne!(restored.get_pixel(286, 240), off.get_pixel(286, 240));
        changed.push(restored.pixels().zip(off.pixels()).filter(|(a, b)| a != b).count());
    }
    assert!(changed[1] * 3 < changed[0] * 2, "{changed:?}");
}

#[tokio::test]
async fn a_broken_restorer_fails_the_job() {
    struct Broken(SharedEngine, FakeEngine);

    #[async_trait]
    impl Engine for Broken {
        async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
            self.0.network(model).await
        }

        async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
            self.1.run(model, input).await
        }

        async fn outputs(&self, model: &ModelId, input: Tensor) -> Result<Vec<Output>, EngineError> {
            self.0.outputs(model, input).await
        }

        async fn installed(&self, kind: Kind) -> Vec<Available> {
            self.0.installed(kind).await
        }
    }

    let engine: SharedEngine =
        Arc::new(Broken(plain(), FakeEngine { scale: 1, broken: true, ..FakeEngine::default() }));
    let error = made(&engine, &portrait(), &lanczos(FaceMode::Auto)).await.err().unwrap();
    assert!(matches!(error, EnhanceError::Faces(FacesError::Output(OutputError::NotFinite(_)))), "{error}");
}

/// Each job's face has a colour and a place of its own. Its result has to be the same whether the job runs alone or
/// beside others.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_jobs_at_once_do_not_mix_their_faces() {
    let face = face(44.0, 0.0);
    let picture = |job: u32| {
        let share = |at: u32| f64::from(job * at % 17) / 16.0 * 0.5 + 0.5;
        let (left, top) = (job % 9 * 3, job % 7 * 3);
        DynamicImage::ImageRgb8(RgbImage::from_fn(124, 120, |x, y| {
            let inside = x >= left && y >= top && x < left + face.width() && y < top + face.height();
            let pixel = if inside { *face.get_pixel(x - left, y - top) } else { Rgb([x as u8, y as u8, job as u8]) };
            Rgb([0, 1, 2].map(|channel| (f64::from(pixel.0[channel]) * share([3, 5, 7][channel])) as u8))
        }))
    };
    let engine = plain();
    let run = |job: u32| {
        let (engine, picture) = (engine.clone(), picture(job));
        tokio::spawn(async move { made(&engine, &picture, &lanczos(FaceMode::Auto)).await.unwrap() })
    };
    let together = join_all((0..100).map(run)).await;
    let mut restored = 0;
    for (job, together) in together.into_iter().enumerate() {
        let (alone, together) = (run(job as u32).await.unwrap(), together.unwrap());
        restored += together.faces.restored;
        assert!(alone.file == together.file && alone.faces == together.faces, "job {job}");
    }
    assert!(restored >= 95, "{restored}");
}
