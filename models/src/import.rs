//! Import: a weight file that somebody has becomes `MODELS_DIR/ID.onnx`.
//!
//! Accepted are PyTorch weights of a known architecture (`.pth`, `.safetensors`), ncnn networks (`.param` with its
//! `.bin` beside it; either may be named) and `.onnx` files, YuNet among them. The result takes `[N,3,H,W]` float32 in 0..1 and gives `[N,3,S*H,S*W]`, with N, H and W free. Import is deterministic, and a
//! file it does not fully understand is refused by naming the tensor, the layer or the input: it never guesses.

mod error;
mod ncnn;
mod network;
mod onnx_file;
mod weights;

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

pub use error::ImportError;
pub use ncnn::NcnnError;
pub use weights::WeightsError;

use prost::Message;

use crate::digest;
use crate::library::{Installed, Library};
use crate::manifest::{Asset, Kind, Manifest};
use crate::onnx::meta::Description;
use crate::valid_id;

/// A protobuf message, and so an ONNX file without external data, ends below 2 GiB.
const MAX_WEIGHTS: u64 = 1 << 31;
/// The largest known `.param` is 0.1 MiB.
const MAX_PARAM: u64 = 16 << 20;

/// What the file itself may not say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Output pixels per input pixel along one side. Needed for an `.onnx` that does not tell; otherwise checked.
    pub scale: Option<u32>,
    /// The network's family; `custom` when not given and the id is not in the manifest. PyTorch weights tell their
    /// own, which has to be this one.
    pub architecture: Option<String>,
}

/// Imports `file` as the model `id`, of the kind that its weights tell; otherwise an upscaler. A model of that id that
/// is there is replaced.
///
/// # Errors
/// An invalid id, an unaccepted or broken file (the tensor or layer is named), an unknown or contradicting scale, a full disk.
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
        return Err(ImportError::ScaleDiffers { expected, got });
    }
    let options = ImportOptions {
        scale: options.scale.or(listed.scale),
        architecture: options.architecture.clone().or(listed.architecture),
    };
    install(file, id, library, &options)
}

/// Imports the fetched files of `asset`.
pub(crate) fn import_listed(file: &Path, asset: &Asset, library: &Library) -> Result<Installed, ImportError> {
    install(file, &asset.id, library, &known(asset))
}

fn known(asset: &Asset) -> ImportOptions {
    ImportOptions { scale: asset.scale, architecture: asset.architecture.clone() }
}

fn install(file: &Path, id: &str, library: &Library, options: &ImportOptions) -> Result<Installed, ImportError> {
    if !valid_id(id) {
        return Err(ImportError::BadId(id.to_owned()));
    }
    let family = options.architecture.as_deref();
    let describe = |scale, source_sha256| Description {
        id: id.to_owned(),
        kind: Kind::Upscaler,
        architecture: family.unwrap_or("custom").to_owned(),
        scale,
        source_sha256,
    };
    let extension = file.extension().and_then(|extension| extension.to_str()).map(str::to_ascii_lowercase);
    match extension.as_deref() {
        Some("param" | "bin") => {
            let (param, bin) = pair(file)?;
            let param = read(&param, MAX_PARAM)?;
            let bin = read(&bin, MAX_WEIGHTS)?;
            let text = std::str::from_utf8(&param).map_err(|_| NcnnError::Binary)?;
            let network = ncnn::translate(text, &bin)?;
            agree(options.scale, network.scale)?;
            let description = describe(network.scale, digest::of_bytes(&[&param, &bin]));
            drop((param, bin));
            library.install(id, &[&network.into_model(&description).encode_to_vec()])?;
        }
        Some(kind @ ("pth" | "safetensors")) => {
            let bytes = read(file, MAX_WEIGHTS)?;
            let weights = if kind == "pth" { weights::read_pth(&bytes) } else { weights::read_safetensors(&bytes) };
            let network = network::build(weights?)?;
            agree(options.scale, network.scale)?;
            let (got, kind) = (network.architecture, network.kind);
            if let Some(expected) = family.filter(|&family| family != got) {
                return Err(ImportError::ArchitectureDiffers { expected: expected.to_owned(), got });
            }
            let source_sha256 = digest::of_bytes(&[&bytes]);
            drop(bytes);
            let description =
                Description { kind, architecture: got.to_owned(), ..describe(network.scale, source_sha256) };
            library.install(id, &[&network.into_model(&description).encode_to_vec()])?;
        }
        Some("onnx") => {
            let bytes = read(file, MAX_WEIGHTS)?;
            let checked = onnx_file::check(&bytes)?;
            if let Some(found) = checked.scale {
                agree(options.scale, found)?;
            }
            let scale = checked.scale.or(options.scale).ok_or(ImportError::ScaleUnknown)?;
            if let (Some(expected), Some(got)) = (family, checked.architecture)
                && expected != got
            {
                return Err(ImportError::ArchitectureDiffers { expected: expected.to_owned(), got });
            }
            if checked.architecture.is_none() && family == Some(onnx_file::YUNET) {
                return Err(ImportError::Onnx("the outputs are not those of YuNet".to_owned()));
            }
            let mut description = describe(scale, digest::of_bytes(&[&bytes]));
            description.kind = checked.kind;
            if let Some(architecture) = checked.architecture {
                description.architecture = architecture.to_owned();
            }
            let added = description.encode();
            let mut parts: Vec<&[u8]> = checked.kept.iter().map(|range| &bytes[range.clone()]).collect();
            parts.push(&added);
            library.install(id, &parts)?;
        }
        _ => return Err(ImportError::NotAccepted(file.to_path_buf())),
    }
    library.get(id).ok_or_else(|| ImportError::Unreadable { path: library.model_path(id), why: "vanished".into() })
}

fn agree(expected: Option<u32>, got: u32) -> Result<(), ImportError> {
    match expected {
        Some(expected) if expected != got => Err(ImportError::ScaleDiffers { expected, got }),
        _ => Ok(()),
    }
}

/// The `.param` and the `.bin` that go with `file`, which is one of them.
fn pair(file: &Path) -> Result<(std::path::PathBuf, std::path::PathBuf), ImportError> {
    let is_param = file.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("param"));
    let other = file.with_extension(if is_param { "bin" } else { "param" });
    if !other.is_file() {
        return Err(ImportError::Alone { file: file.to_path_buf(), missing: other });
    }
    Ok(if is_param { (file.to_path_buf(), other) } else { (other, file.to_path_buf()) })
}

fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ImportError> {
    let fail = |error: std::io::Error| ImportError::Unreadable { path: path.into(), why: error.to_string() };
    let size = fs::metadata(path).map_err(fail)?.len();
    let mut bytes = Vec::new();
    if size < limit {
        // The limit holds also for what is not a plain file, or grows meanwhile.
        File::open(path).map_err(fail)?.take(limit).read_to_end(&mut bytes).map_err(fail)?;
    }
    if size >= limit || bytes.len() as u64 >= limit {
        return Err(ImportError::TooLarge { path: path.into(), limit });
    }
    Ok(bytes)
}
