//! The models folder as the API's catalogue.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use remaster_models::{Kind, Library, Manifest, status};
use remaster_shared::catalogue::{Catalogue, ModelInfo};

/// The folder is looked at no more often than this: models come and go by hand, submits by the thousand.
const FRESH: Duration = Duration::from_secs(1);

pub struct Folder {
    manifest: Manifest,
    library: Library,
    seen: Mutex<Option<(Instant, Vec<ModelInfo>)>>,
}

impl Folder {
    pub fn new(manifest: Manifest, library: Library) -> Self {
        Self { manifest, library, seen: Mutex::default() }
    }

    fn look(&self) -> Vec<ModelInfo> {
        let assets = status(&self.manifest, &self.library).unwrap_or_else(|error| {
            tracing::error!(%error, "the models folder cannot be read");
            Vec::new()
        });
        assets
            .into_iter()
            .filter(|asset| asset.kind != Kind::Photo)
            .map(|asset| ModelInfo {
                id: asset.id,
                kind: asset.kind.as_str().to_owned(),
                architecture: asset.architecture.unwrap_or_default(),
                scale: asset.scale,
                licence: asset.licence.unwrap_or_else(|| "unknown (imported)".into()),
                licence_note: asset.licence_note,
                installed: asset.installed,
            })
            .collect()
    }
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
