//! Measures what faces cost: the time and the peak memory of a picture with none, one and eight of them.
//!
//! `cargo run --release -p remaster-worker --example faces [GFPGAN.pth]`. Without a file, a network that costs next to
//! nothing takes the place of the restorer, so that everything around the network is measured.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement, run by hand")]

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use image::imageops::{self, FilterType};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use remaster_engine::{Device, EngineSettings, OnnxEngine, Precision, SharedEngine};
use remaster_models::{ImportOptions, Library, import};
use remaster_pictures::header::inspect;
use remaster_shared::job::{EnhanceParams, ModelId};
use remaster_worker::enhance::Enhancer;
use remaster_worker::upscale::TileSettings;

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 600;

#[tokio::main]
async fn main() {
    let engine = engine(std::env::args().nth(1).as_deref().map(Path::new));
    let enhancer =
        Enhancer { engine, tiles: TileSettings::default(), spool: std::env::temp_dir(), metrics: Arc::default() };
    println!("{WIDTH}x{HEIGHT} to x2, background by Lanczos");
    println!("faces  found  restored  seconds  peak MiB");
    // The first picture with a face loads the models.
    for faces in [0, 1, 0, 1, 8] {
        let input = picture(faces);
        let info = inspect(Cursor::new(&input), input.len() as u64, None).unwrap();
        // Resets the peak, where the system allows it.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let began = Instant::now();
        let made = enhancer.enhance(input.into(), &info, &params(), &|_| ()).await.unwrap();
        let (seconds, found) = (began.elapsed().as_secs_f64(), made.faces.found);
        println!("{faces:>5}  {found:>5}  {:>8}  {seconds:>7.2}  {:>8}", made.faces.restored, peak());
    }
}

fn engine(weights: Option<&Path>) -> SharedEngine {
    let pulled = remaster_testkit::library();
    let library = Library::open(remaster_testkit::folder().join("faces-example")).unwrap();
    std::fs::copy(pulled.model_path("yunet-2026may"), library.model_path("yunet-2026may")).unwrap();
    match weights {
        Some(file) => {
            import(file, "gfpgan-1.4", &library, &ImportOptions::default()).unwrap();
        }
        None => {
            let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference/faces/gfpgan-1.4.onnx");
            std::fs::copy(fixture, library.model_path("gfpgan-1.4")).unwrap();
        }
    }
    let settings = EngineSettings {
        runtime: remaster_testkit::runtime(),
        cuda: Vec::new(),
        openvino: None,
        device: Device::Cpu,
        precision: Precision::Auto,
        threads: None,
    };
    Arc::new(OnnxEngine::start(library, &settings).unwrap())
}

fn params() -> EnhanceParams {
    EnhanceParams { background: false, ..EnhanceParams::of(ModelId::parse("none").unwrap()) }
}

/// A PNG with the test photo's face, this many times.
fn picture(faces: u32) -> Vec<u8> {
    let mut canvas = RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb([(x / 4) as u8, (y / 3) as u8, 90]));
    let face = imageops::crop_imm(&remaster_testkit::photo(), 120, 20, 210, 210).to_image();
    let face = imageops::resize(&face, 240, 240, FilterType::Triangle);
    for at in 0..faces {
        imageops::replace(&mut canvas, &face, i64::from(at % 4 * 248), i64::from(at / 4 * 300 + 20));
    }
    let mut png = Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(canvas).write_to(&mut png, ImageFormat::Png).unwrap();
    png.into_inner()
}

/// The largest resident size of this process since the last reset, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.trim().trim_end_matches("kB").trim().parse::<u64>().unwrap_or_default() / 1024
}
