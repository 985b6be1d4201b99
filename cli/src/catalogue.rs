//! The models folder as the catalogue of a worker and of `remaster enhance`.

use std::{path::PathBuf, time::Duration};

use moka::sync::Cache;
use remaster_models::{Asset, AssetStatus, Kind, Library, Manifest, status};
use remaster_shared::catalogue::{Catalogue, ModelInfo};

/// The folder is read at most once in this time, because every claim and every announcement asks for the models, and they
/// rarely change.
const FRESH: Duration = Duration::from_secs(1);

pub struct Folder {
    manifest: Manifest,
    library: Library,
    /// A runtime that was named, instead of the pulled one.
    runtime: Option<PathBuf>,
    /// Holds one value.
    seen: Cache<(), Vec<ModelInfo>>,
}

impl Folder {
    pub fn new(manifest: Manifest, library: Library, runtime: Option<PathBuf>) -> Self {
        let seen = Cache::builder().max_capacity(1).time_to_live(FRESH).build();
        Self { manifest, library, runtime, seen }
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
            cost: asset.cost,
            weak_denoiser: asset.weak_denoiser,
            source_sha256: asset.source_sha256,
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
        cost: asset.cost,
        weak_denoiser: asset.weak_denoiser.clone(),
        source_sha256: None,
    };
    shown.map(info).collect()
}

impl Catalogue for Folder {
    fn models(&self) -> Vec<ModelInfo> {
        self.seen.get_with((), || self.look())
    }
}
