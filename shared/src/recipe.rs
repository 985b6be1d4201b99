//! What a result was made of, and how: jobs of one client with the same recipe have the same result.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::catalogue::{Kind, ModelInfo};
use crate::job::{EnhanceParams, FaceMode};
use crate::version::VERSION;

/// A SHA-256 of everything that a result follows from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipe(pub [u8; 32]);

impl Recipe {
    /// The recipe by which a machine with these models makes a result of `input` on `device`, which names the precision too. `None` where no
    /// network takes part: then the result is made about as fast as it is found.
    pub fn of(input: &[u8], params: &EnhanceParams, models: &[ModelInfo], device: &str) -> Option<Self> {
        let networks: Vec<_> =
            models.iter().filter(|model| model.installed && takes_part(model, params, models)).collect();
        if networks.is_empty() {
            return None;
        }
        let mut hash = Sha256::new();
        // Each part has an end of its own, so that two recipes never read the same.
        let mut add = |part: &[u8]| hash.update(Sha256::digest(part));
        add(input);
        add(&serde_json::to_vec(params).ok()?);
        add(VERSION.as_bytes());
        add(device.as_bytes());
        for network in networks {
            add(network.id.as_bytes());
            add(network.source_sha256.as_deref().unwrap_or_default().as_bytes());
        }
        Some(Self(hash.finalize().into()))
    }
}

/// Whether the result may follow from this model: the upscaler and its weak denoiser, and the networks for faces.
fn takes_part(model: &ModelInfo, params: &EnhanceParams, models: &[ModelInfo]) -> bool {
    match model.kind {
        Kind::Upscaler => {
            let is_asked = |id: &str| params.background && params.model.as_str() == id;
            let is_weak =
                |strong: &ModelInfo| strong.weak_denoiser.as_deref() == Some(&model.id) && is_asked(&strong.id);
            is_asked(&model.id) || params.denoise.is_some() && models.iter().any(is_weak)
        }
        Kind::Detector | Kind::FaceRestorer | Kind::FaceParser => params.faces != FaceMode::Off,
        _ => false,
    }
}

/// In hexadecimal.
impl fmt::Display for Recipe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalogue::upscaler;
    use crate::job::{ModelId, Scale};

    #[test]
    fn whatever_changes_the_result_changes_the_recipe() {
        let params = EnhanceParams::of(ModelId::parse("a").unwrap());
        let network = |sha256: &str| ModelInfo { source_sha256: Some(sha256.into()), ..upscaler("a", true) };
        let detector = |installed| ModelInfo { kind: Kind::Detector, ..upscaler("faces", installed) };
        let weak = upscaler("weak", true);
        let gentle = EnhanceParams { denoise: Some("0.5".parse().unwrap()), ..params.clone() };
        let strong = ModelInfo { weak_denoiser: Some("weak".into()), ..network("1") };
        let recipe =
            |input: &[u8], params: &EnhanceParams, models: &[ModelInfo]| Recipe::of(input, params, models, "cpu");
        let first = recipe(b"photo", &params, &[network("1"), detector(false)]);
        assert!(first.is_some());
        assert_eq!(recipe(b"photo", &params, &[network("1"), detector(false), upscaler("b", true)]), first);
        let others = [
            recipe(b"photo2", &params, &[network("1")]),
            recipe(b"photo", &EnhanceParams { scale: Scale::X4, ..params.clone() }, &[network("1")]),
            recipe(b"photo", &params, &[network("2")]),
            recipe(b"photo", &params, &[network("1"), detector(true)]),
            recipe(b"photo", &gentle, &[strong.clone(), weak.clone()]),
            recipe(b"photo", &gentle, &[strong, ModelInfo { source_sha256: Some("3".into()), ..weak }]),
            Recipe::of(b"photo", &params, &[network("1")], "cuda:0"),
        ];
        for (number, other) in others.iter().enumerate() {
            assert!(other.is_some() && *other != first && !others[..number].contains(other), "{number}");
        }
        let without_faces = EnhanceParams { faces: FaceMode::Off, ..params.clone() };
        let with_and_without =
            [true, false].map(|installed| recipe(b"photo", &without_faces, &[network("1"), detector(installed)]));
        assert_eq!(with_and_without[0], with_and_without[1]);
        let without_networks = EnhanceParams { background: false, ..params };
        assert_eq!(recipe(b"photo", &without_networks, &[network("1"), detector(false)]), None);
    }
}
