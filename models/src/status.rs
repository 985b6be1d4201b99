//! What is installed and what is missing, for `models list`, `GET /models` and start-up.

use remaster_shared::catalogue::Kind;
use serde::Serialize;

use crate::asset::Asset;
use crate::library::{Library, LibraryError};
use crate::manifest::Manifest;
use crate::pull;

/// One line of the listing.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AssetStatus {
    /// The id.
    pub id: String,
    /// What the asset is for.
    pub kind: Kind,
    /// The architecture of a network.
    pub architecture: Option<String>,
    /// Output pixels per input pixel along one side, for upscalers.
    pub scale: Option<u32>,
    /// The licence; `None` for a model outside the manifest, whose licence only its importer knows.
    pub licence: Option<String>,
    /// What the licence's name does not say.
    pub licence_note: Option<String>,
    /// Whether it is pulled without being asked.
    pub default: bool,
    /// Whether it is in the models directory.
    pub installed: bool,
    /// Whether the manifest lists it. Other models were imported by somebody.
    pub listed: bool,
    /// The bytes to fetch when it is missing; for a model outside the manifest, the size of the installed file.
    pub bytes: u64,
    /// The place in the order of preference among the networks of its kind; the lowest is preferred.
    #[serde(skip)]
    pub rank: Option<u32>,
    /// An upscaler's work for a pixel of the input, in units of `realesrgan-x4plus`, where it is known.
    #[serde(skip)]
    pub cost: Option<f64>,
    /// The upscaler of the same shape that removes less noise.
    #[serde(skip)]
    pub weak_denoiser: Option<String>,
    /// The SHA-256 of the weight file that an installed network was made from.
    #[serde(skip)]
    pub source_sha256: Option<String>,
}

/// Every asset for this platform in the order of the manifest, followed by the imported models outside the manifest, by id.
///
/// # Errors
/// The models directory cannot be read.
pub fn status(manifest: &Manifest, library: &Library) -> Result<Vec<AssetStatus>, LibraryError> {
    let models = library.installed()?;
    let source = |id: &str| models.iter().find(|model| model.id == id).map(|model| model.source_sha256.clone());
    let listed = manifest.here().map(|asset| AssetStatus {
        id: asset.id.clone(),
        kind: asset.kind,
        architecture: asset.architecture.map(|architecture| architecture.to_string()),
        scale: asset.scale,
        licence: Some(asset.licence.clone()),
        licence_note: asset.licence_note.clone(),
        default: asset.default,
        installed: pull::is_installed(asset, library),
        listed: true,
        bytes: asset.bytes(),
        rank: asset.rank,
        cost: asset.cost,
        weak_denoiser: asset.weak_denoiser.clone(),
        source_sha256: source(&asset.id),
    });
    let custom = models.iter().filter(|model| manifest.find(&model.id).is_none()).cloned();
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
        rank: None,
        cost: None,
        weak_denoiser: None,
        source_sha256: Some(model.source_sha256),
    });
    Ok(listed.chain(custom).collect())
}

/// The default assets for this platform that are not installed: first the runtime, then the models in the order of the
/// manifest. [`Asset::bytes`] tells how much there is to fetch of each.
#[must_use]
pub fn missing_defaults<'a>(manifest: &'a Manifest, library: &Library) -> Vec<&'a Asset> {
    let missing = |asset: &&Asset| asset.default && !pull::is_installed(asset, library);
    let mut assets: Vec<_> = manifest.here().filter(missing).collect();
    assets.sort_by_key(|asset| asset.kind != Kind::Runtime);
    assets
}
