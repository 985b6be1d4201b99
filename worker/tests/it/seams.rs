//! Tiled equals untiled on a photo, for both architectures of upscalers, at the overlap that the engine asks for.

use image::ImageFormat;
use remaster_engine::SharedEngine;
use remaster_shared::job::Scale;
use remaster_worker::upscale::TileSettings;

use crate::fixtures::{difference, encoded, enhance, params, photo};
use crate::real::engines;

async fn no_seam(engines: &[SharedEngine], model: &str, scale: Scale, tile: usize) {
    let input = encoded(&photo(120, 40, 260, 120), ImageFormat::Png);
    let params = params(model, scale);
    for engine in engines {
        let run = async |tile: usize| {
            enhance(engine, TileSettings::new(tile).unwrap(), input.clone(), &params).await.unwrap().image()
        };
        let (whole, tiled) = (run(512).await, run(tile).await);
        assert_eq!((whole.width(), whole.height()), (260 * scale.factor(), 120 * scale.factor()));
        let worst = difference(&whole, &tiled);
        assert!(worst <= 1, "{model} at {scale:?} on {:?}: {worst}/255", engine.running_on());
    }
}

#[tokio::test]
async fn rrdbnet_shows_no_seam() {
    // One engine, because this takes long: the one that is used where nothing is said.
    no_seam(&engines()[..1], "realesrgan-x4plus", Scale::X4, 244).await;
}

#[tokio::test]
async fn the_compact_network_shows_no_seam() {
    no_seam(&engines(), "realesr-animevideov3", Scale::X4, 192).await;
}

#[tokio::test]
async fn a_reduced_picture_shows_no_seam() {
    no_seam(&engines(), "realesr-animevideov3", Scale::X2, 192).await;
}
