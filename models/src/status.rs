//! What is installed and what is missing, for `models list`, `GET /models` and start-up.

use serde::Serialize;

use crate::library::{Library, LibraryError};
use crate::manifest::{Asset, Kind, Manifest};
use crate::pull;

/// One line of the listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssetStatus {
    /// The id.
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// The network's family, for models.
    pub architecture: Option<String>,
    /// Output pixels per input pixel along one side, for upscalers.
    pub scale: Option<u32>,
    /// The licence; `None` for a model outside the manifest, whose licence its importer knows.
    pub licence: Option<String>,
    /// What the licence identifier leaves unsaid.
    pub licence_note: Option<String>,
    /// Whether it is pulled unasked.
    pub default: bool,
    /// Whether it is in the models directory.
    pub installed: bool,
    /// Whether the manifest lists it; otherwise somebody imported it.
    pub listed: bool,
    /// Bytes to fetch when missing; of a model outside the manifest, the installed file's size.
    pub bytes: u64,
}

/// Every asset for this platform in the manifest's order, then the imported models outside the manifest by id.
///
/// # Errors
/// The models directory cannot be read.
pub fn status(manifest: &Manifest, library: &Library) -> Result<Vec<AssetStatus>, LibraryError> {
    let listed = manifest.here().map(|asset| AssetStatus {
        id: asset.id.clone(),
        kind: asset.kind,
        architecture: asset.architecture.clone(),
        scale: asset.scale,
        licence: Some(asset.licence.clone()),
        licence_note: asset.licence_note.clone(),
        default: asset.default,
        installed: pull::is_installed(asset, library),
        listed: true,
        bytes: asset.bytes(),
    });
    let custom = library.installed()?.into_iter().filter(|model| manifest.find(&model.id).is_none());
    let custom = custom.map(|model| AssetStatus {
        id: model.id,
        kind: model.kind,
        architecture: Some(model.architecture),
        scale: Some(model.scale),
        licence: None,
        licence_note: None,
        default: false,
        installed: true,
        listed: false,
        bytes: model.bytes,
    });
    Ok(listed.chain(custom).collect())
}

/// The default assets for this platform that are not installed: the runtime first, then the models in the manifest's
/// order. [`Asset::bytes`] tells how much each is to fetch.
#[must_use]
pub fn missing_defaults<'a>(manifest: &'a Manifest, library: &Library) -> Vec<&'a Asset> {
    let missing = |asset: &&Asset| asset.default && !pull::is_installed(asset, library);
    let mut assets: Vec<_> = manifest.here().filter(missing).collect();
    assets.sort_by_key(|asset| asset.kind != Kind::Runtime);
    assets
}
