//! Measures the seams that remain at different overlaps of tiles, and the time that the tiles take.
//!
//! `cargo run --release -p remaster-worker --example tiles [model]`

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a measurement, run by hand")]

use std::io::Cursor;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use image::{DynamicImage, ImageFormat};
use remaster_engine::{
    Device, Engine, EngineError, EngineSettings, Network, OnnxEngine, Precision, SharedEngine, Tensor,
};
use remaster_pictures::header::inspect;
use remaster_shared::job::{MetadataPolicy, ModelId, Scale};
use remaster_worker::picture::{Picture, Samples, decode};
use remaster_worker::upscale::{TileSettings, Upscaler};

/// An engine whose networks need the overlap that is being measured.
struct WithOverlap {
    engine: OnnxEngine,
    overlap: AtomicUsize,
}

#[async_trait::async_trait]
impl Engine for WithOverlap {
    async fn network(&self, model: &ModelId) -> Result<Network, EngineError> {
        let network = self.engine.network(model).await?;
        Ok(Network { overlap: self.overlap.load(Ordering::SeqCst), ..network })
    }

    async fn run(&self, model: &ModelId, input: Tensor) -> Result<Tensor, EngineError> {
        self.engine.run(model, input).await
    }
}

#[tokio::main]
async fn main() {
    let model = ModelId::parse(&std::env::args().nth(1).unwrap_or("realesrgan-x4plus".into())).unwrap();
    let settings = EngineSettings {
        runtime: remaster_testkit::runtime(),
        cuda: Vec::new(),
        openvino: None,
        device: Device::Cpu,
        precision: Precision::Auto,
        threads: None,
    };
    let engine = OnnxEngine::start(remaster_testkit::library(), &settings).unwrap();
    let measured = Arc::new(WithOverlap { engine, overlap: AtomicUsize::new(16) });
    let engine: SharedEngine = measured.clone();

    let picture = Arc::new(photo(300, 200));
    let run = async |tiles: TileSettings| {
        let began = Instant::now();
        let upscaler = Upscaler { engine: engine.clone(), tiles, model: model.clone(), scale: Scale::X4, grain: 0.0 };
        let mut out = None;
        upscaler.upscale(Arc::clone(&picture), &|_| (), &mut out).await.unwrap();
        (out.unwrap(), began.elapsed().as_secs_f64())
    };
    // The first run loads the model.
    run(TileSettings::new(512).unwrap()).await;
    let (whole, seconds) = run(TileSettings::new(512).unwrap()).await;
    println!("{model}, 300x200 to x4\nwhole: {seconds:.1} s");
    println!("overlap  tile  seconds  largest difference from whole (/255), samples off by more than 1");
    for overlap in [16, 24, 32, 48, 64, 72, 80, 96] {
        let tile = (100 + 2 * overlap).max(192);
        measured.overlap.store(overlap, Ordering::SeqCst);
        let (tiled, seconds) = run(TileSettings::new(tile).unwrap()).await;
        let (worst, off) = compare(&whole, &tiled);
        println!("{overlap:>7}  {tile:>4}  {seconds:>7.1}  {worst:>3}  {off}");
    }
}

/// A part of the test photo.
fn photo(width: u32, height: u32) -> Picture {
    let photo = DynamicImage::ImageRgb8(remaster_testkit::photo()).crop_imm(120, 40, width, height);
    let mut png = Cursor::new(Vec::new());
    photo.write_to(&mut png, ImageFormat::Png).unwrap();
    let png = png.into_inner();
    let info = inspect(Cursor::new(&png), png.len() as u64, None).unwrap();
    decode(&png, &info).unwrap().upright(MetadataPolicy::Strip)
}

/// The largest difference of any sample, and the number of samples that differ by more than 1.
fn compare(a: &Picture, b: &Picture) -> (u8, usize) {
    let (Samples::U8(a), Samples::U8(b)) = (&a.samples, &b.samples) else { unreachable!() };
    let differences = || a.iter().zip(b).map(|(a, b)| a.abs_diff(*b));
    (differences().max().unwrap(), differences().filter(|difference| *difference > 1).count())
}
