//! Where model weights and the inference runtime come from, and where they are installed.
//!
//! - [`Manifest`]: every asset that this release knows, with its hashes and its ordered sources.
//! - [`pull`]: fetches what is missing (mirror first, then the sources in order), verifies it, and installs it.
//! - [`install_bundled`]: installs the weights that are part of the binary, without any network.
//! - [`import()`]: turns a weight file that a person already has into `MODELS_DIR/ID.onnx`.
//! - [`Library`]: the models directory: what is installed, whether it is intact, and where the runtime is.
//!
//! What is inside weight files is the subject of `remaster-weights`, which converts them to ONNX.
//!
//! Invariants: no byte is used before its size and SHA-256 are verified; a file appears under its final name complete or
//! not at all; the same weight file always gives the same ONNX bytes. Everything here blocks, so it has to be called from
//! a blocking thread. This crate prints nothing; callers see what happens through [`Progress`].

#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "tests"))]

mod agreement;
mod asset;
mod bundled;
mod digest;
mod disk;
mod fetch;
mod import;
mod library;
mod manifest;
mod progress;
mod pull;
mod runtime;
mod status;

pub use asset::{Asset, AssetFile, PipSource, Purpose, Source, Tile};
pub use bundled::small_network;
pub use disk::DiskError;
pub use fetch::{FetchError, PipCommand, SourceError, Tried};
pub use import::{ImportError, ImportOptions, import};
pub use library::{Installed, Library, LibraryError, Verdict, default_dir};
pub use manifest::{Manifest, ManifestError};
pub use progress::{Progress, Silent};
pub use pull::{AssetError, PullError, PullOptions, PullOutcome, Pulled, fetch_asset, install_bundled, pull};
pub use remaster_shared::catalogue::Kind;
pub use remaster_weights::{Architecture, ConvertError, NcnnError, OnnxError, WeightsError};
pub use runtime::RuntimeError;
pub use status::{AssetStatus, missing_defaults, status};
