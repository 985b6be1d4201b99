//! Pictures and parameters that several tests share, and the way of a picture through the whole pipeline.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, RgbImage};
use remaster_engine::SharedEngine;
use remaster_pictures::header::inspect;
use remaster_shared::job::{EnhanceParams, FaceMode, FaceReport, ModelId, Scale};
use remaster_worker::Progress;
use remaster_worker::enhance::{EnhanceError, Enhancer};
use remaster_worker::upscale::TileSettings;

/// The centre, in pixels of the test photo of 512 x 512, of OpenCV's box around its only face.
pub const FACE_CENTRE: [f64; 2] = [223.0, 119.5];

/// The width of that box, in pixels.
pub const FACE_WIDTH: f64 = 90.0;

/// A file under `models/reference/`.
pub fn reference(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference").join(path)
}

/// The part of the test photo of `width` x `height` pixels that starts at (`x`, `y`).
pub fn photo(x: u32, y: u32, width: u32, height: u32) -> DynamicImage {
    DynamicImage::ImageRgb8(remaster_testkit::photo()).crop_imm(x, y, width, height)
}

/// The face of the test photo in a square, `width` pixels wide and rotated about its centre by `angle` degrees.
pub fn face(width: f64, angle: f64) -> RgbImage {
    // Resized before it is rotated, so that the rotation does not alias.
    let size = (512.0 * width / FACE_WIDTH).round() as u32;
    let scaled = imageops::resize(&remaster_testkit::photo(), size, size, FilterType::Triangle);
    let scale = f64::from(size) / 512.0;
    let (sin, cos) = angle.to_radians().sin_cos();
    let side = (2.2 * width) as u32;
    let last = f64::from(size - 1);
    RgbImage::from_fn(side, side, |x, y| {
        let (x, y) = (f64::from(x) - f64::from(side) / 2.0, f64::from(y) - f64::from(side) / 2.0);
        let (x, y) = (FACE_CENTRE[0] * scale + cos * x + sin * y, FACE_CENTRE[1] * scale - sin * x + cos * y);
        imageops::interpolate_bilinear(&scaled, x.clamp(0.0, last) as f32, y.clamp(0.0, last) as f32).unwrap()
    })
}

/// The background by the network, faces left alone, metadata stripped.
pub fn params(model: &str, scale: Scale) -> EnhanceParams {
    EnhanceParams { scale, faces: FaceMode::Off, ..EnhanceParams::of(ModelId::parse(model).unwrap()) }
}

/// The bytes of the picture as a file.
pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// The pipeline's result.
pub struct Made {
    /// The bytes of the picture file.
    pub file: Vec<u8>,
    pub faces: FaceReport,
}

impl Made {
    pub fn image(&self) -> DynamicImage {
        image::load_from_memory(&self.file).unwrap()
    }
}

/// Takes the bytes of a picture file through the pipeline.
pub async fn enhance(
    engine: &SharedEngine,
    tiles: TileSettings,
    input: Vec<u8>,
    params: &EnhanceParams,
) -> Result<Made, EnhanceError> {
    let heard = std::sync::Mutex::new(vec![0.0]);
    let progress: Progress<'_> = &|fraction| heard.lock().unwrap().push(fraction);
    let info = inspect(Cursor::new(&input), input.len() as u64, None).map_err(EnhanceError::Picture)?;
    let enhancer = Enhancer { engine: engine.clone(), tiles, spool: std::env::temp_dir(), metrics: Arc::default() };
    let made = enhancer.enhance(input.into(), &info, params, progress).await?;
    let file = std::fs::read(made.encoded.file.path()).unwrap();
    assert_eq!(file.len() as u64, made.encoded.bytes);
    let heard = heard.into_inner().unwrap();
    assert!(heard.is_sorted() && heard.iter().all(|fraction| *fraction <= 1.0), "{heard:?}");
    Ok(Made { file, faces: made.faces })
}

/// The largest difference of any sample of two pictures of one size, in 8 bits.
pub fn difference(a: &DynamicImage, b: &DynamicImage) -> u8 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (a.to_rgb8(), b.to_rgb8());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}
