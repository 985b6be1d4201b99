//! The manifest: every asset that this release knows, parsed from `models/manifest.toml`, which is part of the binary.
//!
//! Invariants, checked on parsing: ids are valid and unique per platform; every file has a plain name, a size, a SHA-256
//! and at least one source, and a bundled source is part of the binary; a network has an architecture; an upscaler has a
//! scale, a tile and a purpose; a runtime has a platform and a version. `default` assets are pulled in the order of the
//! file.

use remaster_weights::Architecture;
use serde::Deserialize;

use crate::asset::{self, Asset, Tile};

const EMBEDDED: &str = include_str!("../manifest.toml");

/// Of the known architectures this one sees furthest around a pixel, so an unknown network is tiled like it.
const FURTHEST: (Architecture, u32) = (Architecture::Rrdbnet, 4);

/// Every known asset, in the manifest's order.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The assets.
    #[serde(rename = "asset")]
    pub assets: Vec<Asset>,
}

/// Why a manifest cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The text is not TOML of this shape.
    #[error("the model manifest cannot be read: {}", .0.message())]
    Syntax(#[from] toml::de::Error),
    /// An entry breaks one of this module's invariants.
    #[error("the model manifest is wrong at {id:?}: {what}")]
    Invalid {
        /// The id of the entry.
        id: String,
        /// What is wrong with it.
        what: String,
    },
}

impl Manifest {
    /// The manifest of this release.
    ///
    /// # Errors
    /// A binary that was built with a broken manifest; a test checks that there is none.
    pub fn embedded() -> Result<Self, ManifestError> {
        Self::parse(EMBEDDED)
    }

    /// Parses and checks `text`.
    ///
    /// # Errors
    /// A text that is not a manifest, or breaks an invariant of this module.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        let manifest: Self = toml::from_str(text)?;
        for (at, asset) in manifest.assets.iter().enumerate() {
            asset::check(asset).map_err(|what| ManifestError::Invalid { id: asset.id.clone(), what })?;
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

    /// The assets for this platform, in order.
    pub fn here(&self) -> impl Iterator<Item = &Asset> {
        let platform = platform();
        self.assets.iter().filter(move |asset| asset.fits(&platform))
    }

    /// The runtime that every platform needs, where one is listed for this platform.
    #[must_use]
    pub fn runtime(&self) -> Option<&Asset> {
        self.find("onnxruntime")
    }

    /// The runtime that is faster on a CPU, where one is listed for this platform.
    #[must_use]
    pub fn openvino(&self) -> Option<&Asset> {
        self.find("openvino")
    }

    /// The runtime for GPUs of NVIDIA with the libraries that it needs, where one is listed for this platform.
    #[must_use]
    pub fn cuda(&self) -> Option<&Asset> {
        self.find("onnxruntime-cuda")
    }

    /// The preferred upscaler that enlarges by as much as `scale`, among those that are pulled without being asked.
    #[must_use]
    pub fn default_upscaler(&self, scale: u32) -> Option<&Asset> {
        let enough = |asset: &&Asset| asset.default && asset.scale.is_some_and(|native| native >= scale);
        self.here().filter(enough).min_by_key(|asset| place(asset.rank))
    }

    /// Sorts networks of one kind by preference: those with a rank first, by it, and the others in the order they had.
    pub fn sort_by_preference<T>(&self, networks: &mut [T], id: impl Fn(&T) -> &str) {
        networks.sort_by_key(|network| place(self.find(id(network)).and_then(|asset| asset.rank)));
    }

    /// How a picture may be cut for an upscaler of that architecture and scale, listed or imported by hand.
    ///
    /// An architecture that is listed with other scales only is tiled like those where they agree. Any other network is
    /// tiled like the listed architecture that sees furthest, with the same scale where there is one.
    #[must_use]
    pub fn tile(&self, architecture: &str, scale: u32) -> Option<Tile> {
        let listed = |architecture: &str| -> Vec<(u32, Tile)> {
            let of =
                self.assets.iter().filter(|asset| asset.architecture.is_some_and(|own| own.as_str() == architecture));
            of.filter_map(|asset| Some((asset.scale?, asset.tile?))).collect()
        };
        let (own, furthest) = (listed(architecture), listed(FURTHEST.0.as_str()));
        let exact = |tiles: &[(u32, Tile)], scale| {
            let same = tiles.iter().filter(|(own, _)| *own == scale).map(|(_, tile)| *tile);
            same.max_by_key(|tile| tile.overlap)
        };
        let agreed = || {
            let (_, first) = *own.first()?;
            own.iter().all(|(_, tile)| *tile == first).then_some(first)
        };
        exact(&own, scale).or_else(agreed).or_else(|| exact(&furthest, scale)).or_else(|| exact(&furthest, FURTHEST.1))
    }
}

/// `OS-ARCH` of this build.
pub(crate) fn platform() -> String {
    format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
}

/// Where a rank stands among others; no rank stands last.
fn place(rank: Option<u32>) -> u32 {
    rank.unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use remaster_shared::catalogue::Kind;

    use super::*;

    #[test]
    fn the_embedded_manifest_is_sound() {
        let manifest = Manifest::embedded().unwrap();
        let upscalers: Vec<_> =
            manifest.assets.iter().filter(|a| a.kind == Kind::Upscaler && a.default).map(|a| a.id.as_str()).collect();
        assert_eq!(
            upscalers,
            ["realesrgan-x4plus", "realesr-animevideov3", "realesrgan-x4plus-anime", "realesrgan-x2plus"]
        );
        for platform in ["linux-x86_64", "linux-aarch64", "macos-aarch64"] {
            let runtimes = manifest.assets.iter().filter(|a| a.id == "onnxruntime" && a.fits(platform));
            assert_eq!(runtimes.filter(|a| a.default).count(), 1, "{platform}");
        }
        assert_eq!(manifest.find("test-photo").unwrap().files[0].name, "astronaut.png");
    }

    #[test]
    fn networks_are_preferred_by_rank_and_others_come_last() {
        let manifest = Manifest::embedded().unwrap();
        let sorted = |ids: &[&'static str]| {
            let mut ids = ids.to_vec();
            manifest.sort_by_preference(&mut ids, |id| id);
            ids
        };
        assert_eq!(sorted(&["another", "gfpgan-1.3", "gfpgan-1.4"]), ["gfpgan-1.4", "gfpgan-1.3", "another"]);
        assert_eq!(
            sorted(&["b", "retinaface-r50", "a", "yunet-2026may"]),
            ["yunet-2026may", "retinaface-r50", "b", "a"]
        );
        assert_eq!(sorted(&["own", "parsenet"]), ["parsenet", "own"]);
        assert_eq!(manifest.default_upscaler(2).unwrap().id, "realesrgan-x2plus");
        assert_eq!(manifest.default_upscaler(4).unwrap().id, "realesrgan-x4plus");
    }

    #[test]
    fn no_two_networks_of_a_kind_have_the_same_rank() {
        let manifest = Manifest::embedded().unwrap();
        let ranks: Vec<_> = manifest.here().filter_map(|asset| Some((asset.kind, asset.rank?))).collect();
        let different: std::collections::HashSet<_> = ranks.iter().collect();
        assert_eq!(different.len(), ranks.len());
    }

    #[test]
    fn networks_imported_by_hand_are_tiled_like_listed_ones() {
        let manifest = Manifest::embedded().unwrap();
        for (architecture, scale, overlap) in [
            ("rrdbnet", 4, 80),
            ("rrdbnet", 2, 160),
            ("rrdbnet", 1, 80),
            ("srvgg", 4, 24),
            ("srvgg", 2, 24),
            ("custom", 4, 80),
            ("custom", 2, 160),
            ("custom", 3, 80),
            ("span", 8, 80),
        ] {
            assert_eq!(manifest.tile(architecture, scale).unwrap().overlap, overlap, "{architecture} x{scale}");
        }
        assert_eq!(manifest.tile("rrdbnet", 2).unwrap().align, 2);
        assert_eq!(manifest.tile("rrdbnet", 4).unwrap().align, 1);
    }

    #[test]
    fn a_broken_entry_is_named() {
        let entry = |id: &str, sha: &str, source: &str| {
            format!(
                "[[asset]]\nid = \"{id}\"\nkind = \"photo\"\nlicence = \"x\"\n\
                 files = [{{ name = \"a\", bytes = 1, sha256 = \"{sha}\", sources = [{{ {source} }}] }}]\n"
            )
        };
        let (sha, url) = ("0f".repeat(32), "url = \"u\"");
        let good = entry("a", &sha, url);
        let network = good.replace("photo", "upscaler");
        let scale = network.replace("licence", "architecture = \"srvgg\"\nscale = 4\nlicence");
        assert!(Manifest::parse(&good).is_ok());
        for (text, what) in [
            (entry("../a", &sha, url), "the id is not valid"),
            (entry("-a", &sha, url), "the id is not valid"),
            (entry("a", "00", url), "SHA-256"),
            (entry("a", &sha.to_uppercase(), url), "SHA-256"),
            (good.clone() + &good, "listed twice"),
            (good.replace("photo", "colouriser"), "the kind is not known"),
            (network, "needs an architecture"),
            (scale, "needs a tile and a purpose"),
            (good.replace("photo", "runtime"), "needs a version and a platform"),
            (entry("a", &sha, "bundled = \"other.onnx\""), "\"other.onnx\" is not part of this binary"),
        ] {
            match Manifest::parse(&text) {
                Err(ManifestError::Invalid { what: got, .. }) => assert!(got.contains(what), "{got}"),
                other => panic!("{text}: {other:?}"),
            }
        }
        assert!(matches!(Manifest::parse("x = 1"), Err(ManifestError::Syntax(_))));
        assert!(matches!(Manifest::parse(&(good + "surplus = 1\n")), Err(ManifestError::Syntax(_))));
    }

    /// `docs/models.md` lists every model, with its scale and the licence's name.
    #[test]
    fn the_documentation_lists_every_model() {
        let text = include_str!("../../docs/models.md");
        for asset in Manifest::embedded().unwrap().here().filter(|asset| asset.kind.is_model()) {
            let id = format!("`{}`", asset.id);
            let row = text.lines().find(|line| line.starts_with('|') && line.contains(&id));
            let row = row.unwrap_or_else(|| panic!("{id} is not listed"));
            assert!(row.contains(&asset.licence), "{row}");
            assert!(asset.scale.is_none_or(|scale| row.contains(&format!("| {scale} |"))), "{row}");
        }
    }
}
