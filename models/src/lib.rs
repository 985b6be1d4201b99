//! Where model weights and the inference runtime come from, and how they become files that the engine opens.
//!
//! - [`Manifest`]: every asset this release knows, with its hashes and its ordered sources.
//! - [`pull`]: fetches what is missing (mirror first, then the sources in order), verifies it, installs it.
//! - [`install_bundled`]: installs the weights that are part of the binary, without any network.
//! - [`import`]: turns a weight file that a person already has into `MODELS_DIR/ID.onnx`.
//! - [`half_precision`]: an installed model's bytes in float16, for GPUs.
//! - [`Library`]: the models directory: what is installed, whether it is intact, where the runtime is.
//!
//! Invariants: no byte is used before its size and SHA-256 are verified; a file appears under its final name complete
//! or not at all; the same weight file always gives the same ONNX bytes. Everything here blocks: call it from a
//! blocking thread. This crate prints nothing; callers see what happens through [`Progress`].

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod bundled;
mod digest;
mod disk;
mod fetch;
mod id;
mod import;
mod library;
mod manifest;
mod onnx;
mod precision;
mod progress;
mod pull;
mod runtime;
mod status;

pub use disk::DiskError;
pub use fetch::{FetchError, PipCommand, SourceError, Tried};
pub use id::valid_id;
pub use import::{ImportError, ImportOptions, NcnnError, WeightsError, import};
pub use library::{Installed, Library, LibraryError, Verdict, default_dir};
pub use manifest::{Asset, AssetFile, Kind, Manifest, ManifestError, PipSource, Source};
pub use precision::{HalfError, half_precision};
pub use progress::{Progress, Silent};
pub use pull::{AssetError, PullError, PullOptions, PullOutcome, Pulled, fetch_asset, install_bundled, pull};
pub use runtime::RuntimeError;
pub use status::{AssetStatus, missing_defaults, status};
