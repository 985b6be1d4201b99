//! What a result was made of, and how: jobs of one client with the same recipe have the same result.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::catalogue::{Kind, ModelInfo};
use crate::job::{EnhanceParams, FaceMode};
use crate::version::VERSION;

/// A SHA-256 of the bytes of an input, of the options, of the networks for faces that are installed and of the build of this program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Recipe(pub [u8; 32]);

impl Recipe {
    /// The recipe by which a machine with these models makes a result of `input`. `None` where no network takes part: then it is made
    /// about as fast as it is found.
    pub fn of(input: &[u8], params: &EnhanceParams, models: &[ModelInfo]) -> Option<Self> {
        let has_faces = params.faces != FaceMode::Off;
        if !params.background && !has_faces {
            return None;
        }
        let mut hash = Sha256::new();
        // Each part has an end of its own, so that two recipes never read the same.
        let mut add = |part: &[u8]| hash.update(Sha256::digest(part));
        add(input);
        add(&serde_json::to_vec(params).ok()?);
        add(VERSION.as_bytes());
        let serves = |model: &&ModelInfo| {
            model.installed && matches!(model.kind, Kind::Detector | Kind::FaceRestorer | Kind::FaceParser)
        };
        for model in models.iter().filter(serves).filter(|_| has_faces) {
            add(model.id.as_bytes());
        }
        Some(Self(hash.finalize().into()))
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
        let detector = |installed| ModelInfo { kind: Kind::Detector, ..upscaler("faces", installed) };
        let recipe = |input: &[u8], params: &EnhanceParams, models: &[ModelInfo]| Recipe::of(input, params, models);
        let first = recipe(b"photo", &params, &[detector(false)]).unwrap();
        assert_eq!(recipe(b"photo", &params, &[detector(false), upscaler("b", true)]), Some(first));
        let others = [
            recipe(b"photo2", &params, &[]),
            recipe(b"photo", &EnhanceParams { scale: Scale::X4, ..params.clone() }, &[]),
            recipe(b"photo", &params, &[detector(true)]),
        ];
        assert!(others.iter().all(|other| other.is_some_and(|other| other != first)));
        let without_faces = EnhanceParams { faces: FaceMode::Off, ..params.clone() };
        assert_eq!(
            recipe(b"photo", &without_faces, &[detector(true)]),
            recipe(b"photo", &without_faces, &[detector(false)])
        );
        let without_networks = EnhanceParams { background: false, ..without_faces };
        assert_eq!(recipe(b"photo", &without_networks, &[]), None);
    }
}
