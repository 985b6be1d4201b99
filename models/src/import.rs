//! Import: a weight file that somebody has becomes `MODELS_DIR/ID.onnx`.
//!
//! Accepted are PyTorch weights of a known architecture (`.pth`, `.safetensors`), ncnn networks (`.param` with its `.bin`
//! beside it; either may be named) and `.onnx` files, YuNet among them. `remaster-weights` converts them; here files are
//! read, and the result is installed.

mod error;

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

pub use error::ImportError;
use remaster_shared::job::ModelId;
use remaster_weights::{ConvertError, Expected, WeightFile, convert};

use crate::asset::Asset;
use crate::digest;
use crate::library::{Installed, Library};
use crate::manifest::Manifest;

/// A protobuf message, and so an ONNX file without external data, ends below 2 GiB.
const MAX_WEIGHTS: u64 = 1 << 31;
/// The largest known `.param` has 0.1 MiB.
const MAX_PARAM: u64 = 16 << 20;

/// What the file itself may not tell.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Output pixels per input pixel along one side. It is needed for an `.onnx` file that does not tell it; otherwise
    /// the file has to agree.
    pub scale: Option<u32>,
    /// The network's architecture; `custom` when it is not given and the id is not in the manifest. PyTorch weights tell
    /// their architecture, which has to be this one.
    pub architecture: Option<String>,
}

/// Imports `file` as the model `id`, of the kind that its weights tell, or else as an upscaler. An installed model of that
/// id is replaced.
///
/// # Errors
/// An invalid id; a file that is not accepted or is broken, of which the tensor or layer is named; a scale that is unknown
/// or contradicts the manifest; a full disk.
pub fn import(file: &Path, id: &str, library: &Library, options: &ImportOptions) -> Result<Installed, ImportError> {
    let manifest = Manifest::embedded().ok();
    let asset = manifest.as_ref().and_then(|manifest| manifest.find(id));
    if let Some(asset) = asset.filter(|asset| !asset.kind.is_model()) {
        return Err(ImportError::Reserved { id: id.to_owned(), kind: asset.kind });
    }
    let listed = asset.map_or_else(ImportOptions::default, known);
    if let (Some(expected), Some(got)) = (listed.scale, options.scale)
        && expected != got
    {
        return Err(ConvertError::ScaleDiffers { expected, got }.into());
    }
    let options = ImportOptions {
        scale: options.scale.or(listed.scale),
        architecture: options.architecture.clone().or(listed.architecture),
    };
    install(file, id, library, &options)
}

/// Imports `file`, which is what was fetched for `asset`.
///
/// # Errors
/// As [`import`].
pub(crate) fn import_listed(file: &Path, asset: &Asset, library: &Library) -> Result<Installed, ImportError> {
    install(file, &asset.id, library, &known(asset))
}

fn known(asset: &Asset) -> ImportOptions {
    ImportOptions { scale: asset.scale, architecture: asset.architecture.map(|architecture| architecture.to_string()) }
}

fn install(file: &Path, id: &str, library: &Library, options: &ImportOptions) -> Result<Installed, ImportError> {
    if ModelId::parse(id).is_err() {
        return Err(ImportError::BadId(id.to_owned()));
    }
    let (weights, source_sha256) = load(file)?;
    let expected = Expected {
        id,
        source_sha256: &source_sha256,
        scale: options.scale,
        architecture: options.architecture.as_deref(),
    };
    let converted = convert(weights, &expected)?;
    library.install(id, &converted.onnx)?;
    let vanished = || ImportError::Unreadable { path: library.model_path(id), source: io::Error::other("vanished") };
    library.get(id).ok_or_else(vanished)
}

/// Reads the weight file and hashes it. An ncnn network is hashed as its `.param` followed by its `.bin`.
fn load(file: &Path) -> Result<(WeightFile, String), ImportError> {
    let extension = file.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    if let Some("param" | "bin") = extension.as_deref() {
        let (param, bin) = pair(file)?;
        let (param, bin) = (read(&param, MAX_PARAM)?, read(&bin, MAX_WEIGHTS)?);
        let sha256 = digest::of_bytes(&[&param, &bin]);
        return Ok((WeightFile::Ncnn { param, bin }, sha256));
    }
    let format = match extension.as_deref() {
        Some("pth") => WeightFile::Pth,
        Some("safetensors") => WeightFile::Safetensors,
        Some("onnx") => WeightFile::Onnx,
        _ => return Err(ImportError::NotAccepted(file.to_path_buf())),
    };
    let bytes = read(file, MAX_WEIGHTS)?;
    let sha256 = digest::of_bytes(&[&bytes]);
    Ok((format(bytes), sha256))
}

/// The `.param` and the `.bin` that go with `file`, which is one of them.
fn pair(file: &Path) -> Result<(PathBuf, PathBuf), ImportError> {
    let is_param = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("param"));
    let other = file.with_extension(if is_param { "bin" } else { "param" });
    if !other.is_file() {
        return Err(ImportError::Alone { file: file.to_path_buf(), missing: other });
    }
    Ok(if is_param { (file.to_path_buf(), other) } else { (other, file.to_path_buf()) })
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ImportError> {
    let fail = |source| ImportError::Unreadable { path: path.into(), source };
    let size = fs::metadata(path).map_err(fail)?.len();
    let mut bytes = Vec::new();
    if size < limit {
        // The limit also holds for what is not a plain file, or grows meanwhile.
        File::open(path).map_err(fail)?.take(limit).read_to_end(&mut bytes).map_err(fail)?;
    }
    if size >= limit || bytes.len() as u64 >= limit {
        return Err(ImportError::TooLarge { path: path.into(), limit });
    }
    Ok(bytes)
}
