//! The models folder as the API's catalogue.

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use remaster_models::{Asset, AssetStatus, Kind, Library, Manifest, status};
use remaster_shared::catalogue::{Catalogue, ModelInfo};

/// The folder is looked at no more often than this: models come and go by hand, submits by the thousand.
const FRESH: Duration = Duration::from_secs(1);

pub struct Folder {
    manifest: Manifest,
    library: Library,
    /// A runtime that was named, instead of the pulled one.
    runtime: Option<PathBuf>,
    seen: Mutex<Option<(Instant, Vec<ModelInfo>)>>,
}

impl Folder {
    pub fn new(manifest: Manifest, library: Library, runtime: Option<PathBuf>) -> Self {
        Self { manifest, library, runtime, seen: Mutex::default() }
    }

    fn look(&self) -> Vec<ModelInfo> {
        let assets = status(&self.manifest, &self.library).unwrap_or_else(|error| {
            tracing::error!(%error, "the models folder cannot be read");
            Vec::new()
        });
        // Without the runtime no model is any use.
        let runs = self.library.runtime_path(&self.manifest, self.runtime.as_deref()).is_ok();
        let shown = assets.into_iter().filter(|asset| asset.kind != Kind::Photo);
        let info = |asset: AssetStatus| ModelInfo {
            id: asset.id,
            kind: asset.kind,
            architecture: asset.architecture.unwrap_or_default(),
            scale: asset.scale,
            licence: asset.licence.unwrap_or_else(|| "unknown (imported)".into()),
            licence_note: asset.licence_note,
            installed: asset.installed && (runs || asset.kind == Kind::Runtime),
            rank: asset.rank,
        };
        shown.map(info).collect()
    }
}

/// Every model that this release knows, none of them installed.
pub fn known(manifest: &Manifest) -> Vec<ModelInfo> {
    let shown = manifest.here().filter(|asset| asset.kind != Kind::Photo);
    let info = |asset: &Asset| ModelInfo {
        id: asset.id.clone(),
        kind: asset.kind,
        architecture: asset.architecture.map(|architecture| architecture.to_string()).unwrap_or_default(),
        scale: asset.scale,
        licence: asset.licence.clone(),
        licence_note: asset.licence_note.clone(),
        installed: false,
        rank: asset.rank,
    };
    shown.map(info).collect()
}

impl Catalogue for Folder {
    fn models(&self) -> Vec<ModelInfo> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match &*seen {
            Some((at, models)) if at.elapsed() < FRESH => models.clone(),
            _ => {
                let models = self.look();
                *seen = Some((Instant::now(), models.clone()));
                models
            }
        }
    }
}
