//! What tests of several crates need: the real models, the inference runtime and the test photo, fetched by the
//! project's own code (`ASSET_MIRROR`, then the manifest's sources) and kept between runs.
//!
//! Also a [`RedisServer`] and an [`S3Server`] for tests to start, stop and restart, a [`Receiver`] of webhooks, and a
//! [`python`] with packages to compare with, and [`axe_core`] for the web page.
//!
//! The assets lie in `REMASTER_TEST_ASSETS`, or in `test-assets` under the target folder.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that cannot have its assets cannot go on")]

mod python;
mod receiver;
mod redis;
mod s3;

use std::path::PathBuf;

use image::RgbImage;
use remaster_models::{Library, Manifest, PullOptions, Silent, fetch_asset, pull, status};

pub use python::{axe_core, python};
pub use receiver::{Manner, Receiver, body, header};
pub use redis::{RedisCluster, RedisSentinel, RedisServer, RedisTls};
pub use s3::S3Server;

/// The network that is fast enough for tests.
pub const SMALL_MODEL: &str = "realesr-animevideov3";

/// The models that tests use. Not every default: those in the authors' own releases only are hundreds of megabytes.
pub const MODELS: [&str; 4] = ["realesrgan-x4plus", SMALL_MODEL, "realesrgan-x4plus-anime", "yunet-2026may"];

pub fn folder() -> PathBuf {
    let target = || {
        let workspace = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
        std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.into(), PathBuf::from).join("test-assets")
    };
    std::env::var_os("REMASTER_TEST_ASSETS").map_or_else(target, PathBuf::from)
}

pub fn options() -> PullOptions {
    PullOptions { mirror: std::env::var("ASSET_MIRROR").ok(), ..PullOptions::default() }
}

/// The folder with the [`MODELS`] and the runtime in it.
pub fn library() -> Library {
    let (manifest, library) = (Manifest::embedded().unwrap(), Library::open(folder()).unwrap());
    // A pull waits for any other: one that has nothing to do is left out.
    let there: Vec<String> =
        status(&manifest, &library).unwrap().into_iter().filter(|a| a.installed).map(|a| a.id).collect();
    let runtime = manifest.runtime().map(|asset| asset.id.as_str());
    let ids: Vec<&str> = runtime.into_iter().chain(MODELS).filter(|id| !there.iter().any(|own| own == id)).collect();
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

/// The path of the test photo: 512 x 512, one face.
pub fn photo_path() -> PathBuf {
    let (manifest, library) = (Manifest::embedded().unwrap(), Library::open(folder()).unwrap());
    fetch_asset(&manifest, &library, "test-photo", &options(), &Silent).unwrap()
}

pub fn photo() -> RgbImage {
    image::open(photo_path()).unwrap().into_rgb8()
}
