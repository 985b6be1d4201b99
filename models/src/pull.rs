//! Pulling: from manifest ids to installed assets.
//!
//! One process at a time per models directory, held by a lock on `.lock`. What is installed already is skipped, and
//! judged so after the lock is held. Assets are pulled in the order asked; one that fails does not stop the others.
//! Everything transient lies under a dot name in the models directory and goes with the pull.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::bundled;
use crate::disk::{self, DiskError};
use crate::fetch::{FetchError, Meter, PipCommand, Session};
use crate::import::{self, ImportError};
use crate::library::Library;
use crate::manifest::{Asset, Kind, Manifest};
use crate::progress::{Progress, Silent};
use crate::runtime;

const SCRATCH: &str = ".pull-";

/// Where a pull looks beyond the manifest.
#[derive(Debug, Clone)]
pub struct PullOptions {
    /// `ASSET_MIRROR`: a directory or an http(s) prefix, tried first; files lie in it under their own names.
    pub mirror: Option<String>,
    /// How pip is run; the first that works is used.
    pub pip: Vec<PipCommand>,
}

impl Default for PullOptions {
    /// No mirror, the machine's own pip.
    fn default() -> Self {
        Self { mirror: None, pip: PipCommand::defaults() }
    }
}

/// What became of one asset.
#[derive(Debug)]
pub struct PullOutcome {
    /// The asset's id.
    pub id: String,
    /// How it went.
    pub result: Result<Pulled, AssetError>,
}

/// An asset that is installed now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled {
    /// It was before.
    AlreadyThere(PathBuf),
    /// This pull did it; the model, library or photo file.
    Installed(PathBuf),
}

impl Pulled {
    /// The model, library or photo file.
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
    /// It came, but does not become a model.
    #[error("{id}: {source}")]
    Import {
        /// The asset's id.
        id: String,
        /// Why not.
        source: ImportError,
    },
}

/// Why nothing was pulled at all.
#[derive(Debug, thiserror::Error)]
pub enum PullError {
    /// Not in the manifest, or not for this platform.
    #[error("no asset {id:?} is listed for this platform; known are {known}")]
    Unknown {
        /// The id asked for.
        id: String,
        /// The ids there are.
        known: String,
    },
    /// The models directory cannot be used.
    #[error("models directory: {0}")]
    Disk(#[from] DiskError),
    /// [`fetch_asset`]'s one asset failed.
    #[error(transparent)]
    Asset(#[from] AssetError),
}

/// Pulls the assets `ids` into `library`; one outcome per id, in order.
///
/// Blocks: for the network, for a running pull of another process, and while a model is translated.
///
/// # Errors
/// An id that is not in the manifest (then nothing is pulled); a models directory that cannot be written.
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
/// As [`pull`], and the asset's own failure.
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

/// Installs those weights that are part of the binary and not installed yet; fetches nothing.
///
/// # Errors
/// The models directory cannot be written.
pub fn install_bundled(manifest: &Manifest, library: &Library) -> Result<(), PullError> {
    let missing = bundled::assets(manifest).filter(|asset| !is_installed(asset, library));
    let ids: Vec<&str> = missing.map(|asset| asset.id.as_str()).collect();
    let sources = PullOptions { mirror: None, pip: Vec::new() };
    for outcome in pull(manifest, library, &ids, &sources, &Silent)? {
        outcome.result?;
    }
    Ok(())
}

/// Whether `asset` is in the models directory. Sizes are looked at, hashes are not: that is [`Library::verify`]'s.
pub(crate) fn is_installed(asset: &Asset, library: &Library) -> bool {
    match asset.kind {
        kind if kind.is_model() => library.get(&asset.id).is_some(),
        _ => {
            let dir = folder(asset, library);
            asset.files.iter().all(|file| fs::metadata(dir.join(&file.name)).is_ok_and(|meta| meta.len() == file.bytes))
        }
    }
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
    let mut meter = Meter::new(progress, &asset.id, asset.bytes());
    let fetched = asset.files.iter().try_for_each(|file| session.fetch(file, &dir.join(&file.name), &mut meter));
    if fetched.is_err() {
        // An empty runtime folder would be left; one with files in it stays.
        let _ = fs::remove_dir(&dir);
    }
    fetched?;
    if asset.kind.is_model() {
        let weights = asset.files.first().map(|file| dir.join(&file.name)).unwrap_or_default();
        let made = import::import_listed(&weights, asset, library);
        // The sources are of no further use and as large as the model.
        let _ = fs::remove_dir_all(&dir);
        made.map_err(|source| AssetError::Import { id: asset.id.clone(), source })?;
    }
    Ok(Pulled::Installed(installed_path(asset, library)))
}

fn folder(asset: &Asset, library: &Library) -> PathBuf {
    match asset.kind {
        Kind::Runtime => library.dir().join(runtime::folder(asset)),
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

/// The lock is released when the file is closed, also by a process that dies.
fn lock(dir: &Path, progress: &dyn Progress) -> Result<File, DiskError> {
    disk::make_dir(dir)?;
    let path = dir.join(".lock");
    let fail = |error| DiskError::writing(&path, 0, error);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(fail)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            progress.note(&format!("waiting for another process that is pulling into {}", dir.display()));
            file.lock().map_err(fail)?;
        }
        Err(TryLockError::Error(error)) => return Err(fail(error)),
    }
    Ok(file)
}

/// A fresh scratch directory. The lock is held, so any older one belongs to a process that died.
fn scratch(dir: &Path) -> Result<TempDir, DiskError> {
    for entry in fs::read_dir(dir).map_err(|error| DiskError::io(dir, error))?.flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(SCRATCH)) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    tempfile::Builder::new().prefix(SCRATCH).tempdir_in(dir).map_err(|error| DiskError::writing(dir, 0, error))
}
