//! Pictures through an engine that repeats pixels, so that every pixel of a result is known.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use remaster_engine::{EngineError, SharedEngine, fake::FakeEngine};
use remaster_shared::job::{ModelId, Scale};

use super::error::UpscaleError;
use super::network::Upscaler;
use super::tiles::TileSettings;
use crate::output::OutputError;
use crate::picture::fixtures::{Depth, LAYOUTS, eight_bit, pattern, picture};
use crate::picture::{Layout, Picture, Samples};

/// Each pixel repeated, as the fake engine does it.
fn repeated(source: &Picture, scale: usize) -> Picture {
    let (channels, width) = (source.layout.channels(), source.width);
    let from = eight_bit(source);
    let sample = |index: usize| {
        let (pixel, channel) = (index / channels, index % channels);
        let (x, y) = (pixel % (width * scale) / scale, pixel / (width * scale) / scale);
        from[(y * width + x) * channels + channel]
    };
    let samples = Samples::U8((0..from.len() * scale * scale).map(sample).collect());
    Picture { width: width * scale, height: source.height * scale, ..picture(source.layout, samples) }
}

async fn whole(upscaler: &Upscaler, source: &Picture) -> Result<Picture, UpscaleError> {
    let mut out = None;
    upscaler.upscale(Arc::new(source.clone()), &|_| (), &mut out).await?;
    Ok(out.unwrap())
}

fn upscaler(engine: SharedEngine, tile: usize, scale: Scale) -> Upscaler {
    let (tiles, model) = (TileSettings::new(tile).unwrap(), ModelId::parse("fake").unwrap());
    Upscaler { engine, tiles, model, scale, grain: 0.0 }
}

async fn upscaled(engine: FakeEngine, tile: usize, source: &Picture, scale: Scale) -> Result<Picture, UpscaleError> {
    whole(&upscaler(Arc::new(engine), tile, scale), source).await
}

#[tokio::test]
async fn tiles_fit_together_at_every_size_and_layout() {
    for (width, height) in [(1, 1), (3, 200), (200, 3), (231, 97), (460, 230)] {
        for layout in LAYOUTS {
            let source = pattern(width, height, layout, Depth::Eight);
            let result = upscaled(FakeEngine::default(), 192, &source, Scale::X4).await.unwrap();
            assert_eq!(result, repeated(&source, 4), "{width}x{height} {layout:?}");
        }
    }
}

#[tokio::test]
async fn a_tile_that_does_not_fit_into_memory_is_quartered() {
    let source = pattern(200, 150, Layout::Rgb, Depth::Eight);
    let engine = FakeEngine { largest: 120 * 120, ..FakeEngine::default() };
    assert_eq!(upscaled(engine, 512, &source, Scale::X4).await.unwrap(), repeated(&source, 4));
    let engine = FakeEngine { largest: 100, ..FakeEngine::default() };
    let error = upscaled(engine, 512, &source, Scale::X4).await.unwrap_err();
    assert!(matches!(error, UpscaleError::Engine(EngineError::OutOfMemory(_))), "{error}");
}

#[tokio::test]
async fn an_output_of_nan_fails_the_picture() {
    let engine = FakeEngine { broken: true, ..FakeEngine::default() };
    let source = pattern(40, 40, Layout::Rgb, Depth::Eight);
    let error = upscaled(engine, 512, &source, Scale::X4).await.unwrap_err();
    assert!(matches!(error, UpscaleError::Output(OutputError::NotFinite(_))), "{error}");
}

#[tokio::test]
async fn the_output_of_a_network_of_a_larger_scale_is_reduced() {
    let samples = Samples::U8(vec![77; 150 * 90 * 3]);
    let source = Picture { width: 150, height: 90, ..picture(Layout::Rgb, samples) };
    let result = upscaled(FakeEngine::default(), 192, &source, Scale::X2).await.unwrap();
    assert_eq!((result.width, result.height), (300, 180));
    assert!(eight_bit(&result).iter().all(|sample| *sample == 77));
}

#[tokio::test]
async fn alpha_passes_through_the_network_only_where_it_changes() {
    let engine = Arc::new(FakeEngine::default());
    let mut samples = [10, 20, 30, 200].repeat(400 * 60);
    let upscaler = upscaler(engine.clone(), 192, Scale::X4);
    let picture = |samples: &[u8]| {
        let samples = Samples::U8(samples.to_vec());
        Picture { width: 400, height: 60, ..picture(Layout::Rgba, samples) }
    };
    let flat = picture(&samples);
    assert_eq!(whole(&upscaler, &flat).await.unwrap(), repeated(&flat, 4));
    let tiles = engine.runs.swap(0, Ordering::SeqCst);
    // The last pixel of the last tile.
    *samples.last_mut().unwrap() = 0;
    let round = picture(&samples);
    assert_eq!(whole(&upscaler, &round).await.unwrap(), repeated(&round, 4));
    assert_eq!(engine.runs.load(Ordering::SeqCst), tiles + 1);
}

#[tokio::test]
async fn alpha_that_does_not_change_is_kept_exactly() {
    let engine = FakeEngine { darker: 0.1, ..FakeEngine::default() };
    let mut samples = vec![255; 60 * 60 * 2];
    samples[1] = 0;
    let source = Picture { width: 60, height: 60, ..picture(Layout::GrayAlpha, Samples::U8(samples)) };
    let result = upscaled(engine, 192, &source, Scale::X4).await.unwrap();
    let alphas: Vec<u8> = eight_bit(&result).iter().skip(1).step_by(2).copied().collect();
    for (at, alpha) in alphas.into_iter().enumerate() {
        let near = at % 240 < 36 && at / 240 < 36;
        assert_eq!(alpha == 255, !near, "{} {}", at % 240, at / 240);
    }
}
