//! The models directory: which models are installed, and whether each is still what was installed.
//!
//! Layout: `ID.onnx` carries its own description in its ONNX metadata. `ID.onnx.sha256` lies beside it, in the format of
//! `sha256sum`, and is written when the model is installed. The runtime lies in `onnxruntime-VERSION/`. Names that start
//! with a dot are transient.

use std::fs::{self, File};
use std::io::{BufReader, ErrorKind};
use std::path::{Path, PathBuf};

use remaster_shared::catalogue::Kind;
use remaster_shared::job::ModelId;
use remaster_weights::Description;

use crate::digest;
use crate::disk::{self, DiskError};
use crate::manifest::Manifest;

/// A models directory. Nothing about it is cached, so two processes may share one.
#[derive(Debug, Clone)]
pub struct Library {
    dir: PathBuf,
}

/// An installed model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installed {
    /// The id, which is also the name of the file without its extension.
    pub id: String,
    /// What the network is for.
    pub kind: Kind,
    /// The network's architecture; `custom` where neither the file nor the manifest nor the user named it.
    pub architecture: String,
    /// Output pixels per input pixel along one side.
    pub scale: u32,
    /// The ONNX file.
    pub path: PathBuf,
    /// The size of the file.
    pub bytes: u64,
    /// The SHA-256 of the weight file that the model was made from; for ncnn, of the `.param` followed by the `.bin`.
    pub source_sha256: String,
}

/// What [`Library::verify`] found of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The bytes are those that were installed.
    Intact,
    /// The bytes have changed since.
    Damaged {
        /// The hash recorded at install, or pinned in the manifest.
        expected: String,
        /// The hash of the file now.
        got: String,
    },
    /// No hash was recorded, so this program did not install the file.
    Unrecorded,
    /// The file cannot be read.
    Unreadable(String),
}

/// Why the models directory cannot be listed.
#[derive(Debug, thiserror::Error)]
#[error("models directory: {0}")]
pub struct LibraryError(#[from] pub DiskError);

impl Library {
    /// Opens `dir`, creating it where it is missing.
    ///
    /// # Errors
    /// The directory cannot be created.
    pub fn open(dir: PathBuf) -> Result<Self, LibraryError> {
        disk::make_dir(&dir)?;
        Ok(Self { dir })
    }

    /// The directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The path of the model `id`, whether or not it is installed.
    #[must_use]
    pub fn model_path(&self, id: &str) -> PathBuf {
        self.dir.join(format!("{id}.onnx"))
    }

    /// The installed models, sorted by id. Files that do not have this program's metadata are passed over.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn installed(&self) -> Result<Vec<Installed>, LibraryError> {
        Ok(self.model_ids()?.iter().filter_map(|id| self.get(id)).collect())
    }

    /// The installed model `id`, read from its metadata; the weights are skipped.
    #[must_use]
    pub fn get(&self, id: &str) -> Option<Installed> {
        ModelId::parse(id).ok()?;
        let path = self.model_path(id);
        let bytes = fs::metadata(&path).ok()?.len();
        let described = Description::read(&mut BufReader::new(File::open(&path).ok()?)).ok()?;
        let Description { id: own, kind, architecture, scale, source_sha256 } = described?;
        (own == id).then_some(Installed { id: own, kind, architecture, scale, path, bytes, source_sha256 })
    }

    /// Hashes every installed model again, and then the runtimes that are installed. Returns each id with its verdict.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn verify(&self, manifest: &Manifest) -> Result<Vec<(String, Verdict)>, LibraryError> {
        let mut verdicts = Vec::new();
        for id in self.model_ids()? {
            let path = self.model_path(&id);
            verdicts.push((id, judge(&path, read_sidecar(&path))));
        }
        for asset in manifest.here().filter(|asset| asset.kind == Kind::Runtime) {
            for file in &asset.files {
                let path = self.dir.join(asset.folder()).join(&file.name);
                if path.exists() {
                    verdicts.push((asset.id.clone(), judge(&path, Some(file.sha256.clone()))));
                }
            }
        }
        Ok(verdicts)
    }

    /// Installs the ONNX file `onnx` as `id`.
    ///
    /// The hash is written first: a crash between the two renames leaves a hash without a model, or a mismatch that
    /// `verify` reports, but never a model that passes for another.
    ///
    /// # Errors
    /// The directory cannot be written, or is full.
    pub(crate) fn install(&self, id: &str, onnx: &[u8]) -> Result<(), DiskError> {
        let path = self.model_path(id);
        let line = format!("{}  {id}.onnx\n", digest::of_bytes(&[onnx]));
        disk::write_atomic(&sidecar(&path), line.as_bytes())?;
        disk::write_atomic(&path, onnx).inspect_err(|_| {
            // A hash without a model would be of no use. The hash of an older model is written again by its next install.
            if !path.exists() {
                let _ = fs::remove_file(sidecar(&path));
            }
        })
    }

    fn model_ids(&self) -> Result<Vec<String>, LibraryError> {
        let entries = match fs::read_dir(&self.dir) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| DiskError::io(&self.dir, error))?,
        };
        let mut ids = Vec::new();
        for entry in entries {
            let name = entry.map_err(|error| DiskError::io(&self.dir, error))?.file_name();
            if let Some(id) = name.to_str().and_then(|name| name.strip_suffix(".onnx"))
                && ModelId::parse(id).is_ok()
            {
                ids.push(id.to_owned());
            }
        }
        ids.sort();
        Ok(ids)
    }
}

/// The models directory by default: `$XDG_CACHE_HOME/remaster/models`, or `~/.cache/remaster/models`. A user without a
/// home directory has none.
#[must_use]
pub fn default_dir() -> Option<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|dir| dir.is_absolute());
    Some(cache.or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?.join("remaster").join("models"))
}

fn sidecar(model: &Path) -> PathBuf {
    let mut name = model.as_os_str().to_owned();
    name.push(".sha256");
    name.into()
}

pub(crate) fn read_sidecar(model: &Path) -> Option<String> {
    let text = fs::read_to_string(sidecar(model)).ok()?;
    text.split_whitespace().next().filter(|hash| hash.len() == 64).map(str::to_owned)
}

fn judge(path: &Path, expected: Option<String>) -> Verdict {
    match (digest::of_file(path), expected) {
        (Err(error), _) => Verdict::Unreadable(error.to_string()),
        (Ok(_), None) => Verdict::Unrecorded,
        (Ok(got), Some(expected)) if got == expected => Verdict::Intact,
        (Ok(got), Some(expected)) => Verdict::Damaged { expected, got },
    }
}
