//! Pulling: from ids in the manifest to installed assets.
//!
//! A lock lets one process at a time pull into a models directory. Under the lock, assets that are installed already are
//! skipped. Assets are pulled in the order asked for, and one that fails does not stop the others. Transient files lie
//! under names with a leading dot in the models directory, and are removed at the end of the pull.

use std::fs;
use std::path::{Path, PathBuf};

use remaster_shared::catalogue::Kind;
use tempfile::TempDir;

use crate::asset::{Asset, AssetFile, Source};
use crate::digest;
use crate::disk::{self, DirLock, DiskError};
use crate::fetch::{FetchError, Meter, PipCommand, Session};
use crate::import::{self, ImportError};
use crate::library::Library;
use crate::manifest::Manifest;
use crate::progress::{Progress, Silent};

/// The prefix of the names of scratch directories.
const SCRATCH: &str = ".pull-";

/// Where a pull looks besides the sources in the manifest.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// `ASSET_MIRROR`: a directory or an http(s) prefix, tried first; files lie in it under their own names.
    pub mirror: Option<String>,
    /// How pip may be run; the first that works is used.
    pub pip: Vec<PipCommand>,
}

impl Default for PullOptions {
    /// No mirror, and the machine's own pip.
    fn default() -> Self {
        Self { mirror: None, pip: PipCommand::defaults() }
    }
}

/// What became of one asset.
#[derive(Debug)]
pub struct PullOutcome {
    /// The asset's id.
    pub id: String,
    /// Whether it is installed.
    pub result: Result<Pulled, AssetError>,
}

/// An asset that is installed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled {
    /// It was installed before.
    AlreadyThere(PathBuf),
    /// This pull installed it.
    Installed(PathBuf),
}

impl Pulled {
    /// The file of the model, the library or the photo.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::AlreadyThere(path) | Self::Installed(path) => path,
        }
    }
}

/// Why one asset is not installed.
#[derive(Debug, thiserror::Error)]
pub enum AssetError {
    /// No source served it, or the disk is full.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It was fetched, but does not become a model.
    #[error("{id}: {source}")]
    Import {
        /// The asset's id.
        id: String,
        /// Why it does not.
        source: ImportError,
    },
}

/// Why nothing was pulled at all.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// The id is not in the manifest, or not for this platform.
    #[error("no asset {id:?} is listed for this platform; known are {known}")]
    Unknown {
        /// The id asked for.
        id: String,
        /// The ids that there are.
        known: String,
    },
    /// The models directory cannot be used.
    #[error("models directory: {0}")]
    Disk(#[from] DiskError),
    /// The one asset of [`fetch_asset`] or of [`install_bundled`] failed.
    #[error(transparent)]
    Asset(#[from] AssetError),
}

/// Pulls the assets `ids` into `library`; returns one outcome per id, in order.
///
/// It blocks while it waits for the network or for the pull of another process, and while a model is converted.
///
/// # Errors
/// An id that is not in the manifest, in which case nothing is pulled; a models directory that cannot be written.
pub fn pull(
    manifest: &Manifest,
    library: &Library,
    ids: &[&str],
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<Vec<PullOutcome>, PullError> {
    let assets = ids.iter().map(|id| find(manifest, id)).collect::<Result<Vec<_>, _>>()?;
    if assets.is_empty() {
        return Ok(Vec::new());
    }
    let _lock = lock(library.dir(), progress)?;
    let scratch = scratch(library.dir())?;
    let mut session = Session::new(options.mirror.clone(), options.pip.clone(), library.dir(), scratch.path());
    let mut outcomes = Vec::with_capacity(assets.len());
    for asset in assets {
        let result = if is_installed(asset, library) {
            Ok(Pulled::AlreadyThere(installed_path(asset, library)))
        } else {
            install(asset, library, &mut session, scratch.path(), progress)
        };
        if let Ok(Pulled::Installed(_)) = result {
            progress.finished(&asset.id);
        }
        outcomes.push(PullOutcome { id: asset.id.clone(), result });
    }
    Ok(outcomes)
}

/// Pulls one asset, and returns its file.
///
/// # Errors
/// As [`pull`], and the failure of the asset.
pub fn fetch_asset(
    manifest: &Manifest,
    library: &Library,
    id: &str,
    options: &PullOptions,
    progress: &dyn Progress,
) -> Result<PathBuf, PullError> {
    let path = installed_path(find(manifest, id)?, library);
    for outcome in pull(manifest, library, &[id], options, progress)? {
        outcome.result?;
    }
    Ok(path)
}

/// Installs those weights that are part of the binary and not installed yet. It uses no network.
///
/// # Errors
/// The models directory cannot be written.
pub fn install_bundled(manifest: &Manifest, library: &Library) -> Result<(), PullError> {
    let missing = manifest.here().filter(|asset| is_bundled(asset) && !is_installed(asset, library));
    let ids: Vec<&str> = missing.map(|asset| asset.id.as_str()).collect();
    let sources = PullOptions { mirror: None, pip: Vec::new() };
    for outcome in pull(manifest, library, &ids, &sources, &Silent)? {
        outcome.result?;
    }
    Ok(())
}

/// Whether `asset` is in the models directory. Sizes are compared; hashes are left to [`Library::verify`].
pub(crate) fn is_installed(asset: &Asset, library: &Library) -> bool {
    match asset.kind {
        kind if kind.is_model() => library.get(&asset.id).is_some(),
        _ => {
            let dir = folder(asset, library);
            asset.files.iter().all(|file| fs::metadata(dir.join(&file.name)).is_ok_and(|meta| meta.len() == file.bytes))
        }
    }
}

/// Whether every file of `asset` is part of the binary.
fn is_bundled(asset: &Asset) -> bool {
    let bundled = |source: &Source| matches!(source, Source::Bundled { .. });
    asset.files.iter().all(|file| file.sources.iter().any(bundled))
}

fn find<'a>(manifest: &'a Manifest, id: &str) -> Result<&'a Asset, PullError> {
    manifest.find(id).ok_or_else(|| PullError::Unknown {
        id: id.to_owned(),
        known: manifest.here().map(|asset| asset.id.as_str()).collect::<Vec<_>>().join(", "),
    })
}

fn install(
    asset: &Asset,
    library: &Library,
    session: &mut Session,
    scratch: &Path,
    progress: &dyn Progress,
) -> Result<Pulled, AssetError> {
    let dir = if asset.kind.is_model() { scratch.join(&asset.id) } else { folder(asset, library) };
    disk::make_dir(&dir).map_err(FetchError::Disk)?;
    // What a pull that was interrupted has left whole is not fetched again.
    let is_missing = |file: &&AssetFile| digest::of_file(&dir.join(&file.name)).ok().as_ref() != Some(&file.sha256);
    let missing: Vec<&AssetFile> = asset.files.iter().filter(is_missing).collect();
    let mut meter = Meter::new(progress, &asset.id, missing.iter().map(|file| file.bytes).sum());
    let fetched = missing.iter().try_for_each(|file| session.fetch(file, &dir.join(&file.name), &mut meter));
    if fetched.is_err() {
        // This removes the folder of a runtime when it is empty.
        let _ = fs::remove_dir(&dir);
    }
    fetched?;
    if asset.kind.is_model() {
        let weights = asset.files.first().map(|file| dir.join(&file.name)).unwrap_or_default();
        let made = import::import_listed(&weights, asset, library);
        // The weight files are not needed any more, and they are as large as the model.
        let _ = fs::remove_dir_all(&dir);
        made.map_err(|source| AssetError::Import { id: asset.id.clone(), source })?;
    }
    Ok(Pulled::Installed(installed_path(asset, library)))
}

fn folder(asset: &Asset, library: &Library) -> PathBuf {
    match asset.kind {
        Kind::Runtime => library.dir().join(asset.folder()),
        _ => library.dir().to_path_buf(),
    }
}

fn installed_path(asset: &Asset, library: &Library) -> PathBuf {
    if asset.kind.is_model() {
        return library.model_path(&asset.id);
    }
    let name = asset.files.first().map_or("", |file| file.name.as_str());
    folder(asset, library).join(name)
}

/// Waits for a pull of another process, if there is one.
fn lock(dir: &Path, progress: &dyn Progress) -> Result<DirLock, DiskError> {
    disk::make_dir(dir)?;
    if let Some(lock) = DirLock::try_take(dir)? {
        return Ok(lock);
    }
    progress.note(&format!("waiting for another process that is pulling into {}", dir.display()));
    DirLock::take(dir)
}

/// Makes a scratch directory. The lock is held, so any older one belongs to a process that died and is removed.
fn scratch(dir: &Path) -> Result<TempDir, DiskError> {
    for entry in fs::read_dir(dir).map_err(|error| DiskError::io(dir, error))?.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(SCRATCH).tempdir_in(dir).map_err(|error| DiskError::writing(dir, 0, error))
}
