//! Which upscalers can run a job: what `auto` resolves to and what `GET /models` shows.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::{ModelId, Scale};

/// One model as `GET /models` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelInfo {
    pub id: String,
    /// `upscaler`, `runtime`, …
    pub kind: String,
    pub architecture: String,
    /// The factor the network itself enlarges by; null where that has no meaning.
    pub scale: Option<u32>,
    pub licence: String,
    pub licence_note: Option<String>,
    pub installed: bool,
}

/// The models of this machine, installed and known.
pub trait Catalogue: Send + Sync + 'static {
    fn models(&self) -> Vec<ModelInfo>;
}

/// The model name that lets the service choose.
pub const AUTO: &str = "auto";

/// Order in which `auto` looks for an installed general-purpose upscaler, for either scale.
const PREFERRED: &[(&str, Scale)] = &[("realesrgan-x2plus", Scale::X2), ("realesrgan-x4plus", Scale::X4)];

/// The upscaler for `asked` at `scale`, or `None` where it is not installed.
///
/// `auto` takes the network of just that scale when there is one, else the x4 network (reduced for x2), else any.
pub fn resolve(models: &[ModelInfo], asked: &ModelId, scale: Scale) -> Option<ModelId> {
    let upscalers = || models.iter().filter(|model| model.installed && model.kind == "upscaler");
    let id = if asked.as_str() == AUTO {
        let preferred = PREFERRED
            .iter()
            .filter(|(_, native)| native.factor() >= scale.factor())
            .find(|(id, _)| upscalers().any(|model| model.id == *id))
            .map(|(id, _)| (*id).to_owned());
        preferred.or_else(|| upscalers().map(|model| model.id.clone()).next())?
    } else {
        upscalers().find(|model| model.id == asked.as_str())?.id.clone()
    };
    ModelId::parse(&id).ok()
}

/// An upscaler by four, for tests.
#[cfg(any(test, feature = "testing"))]
pub fn upscaler(id: &str, installed: bool) -> ModelInfo {
    ModelInfo {
        id: id.into(),
        kind: "upscaler".into(),
        architecture: String::new(),
        scale: Some(4),
        licence: String::new(),
        licence_note: None,
        installed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auto_prefers_the_network_of_the_scale() {
        let pick = |models: &[ModelInfo], scale| {
            resolve(models, &ModelId::parse(AUTO).unwrap(), scale).map(|id| id.as_str().to_owned())
        };
        let both = [upscaler("other", true), upscaler("realesrgan-x4plus", true), upscaler("realesrgan-x2plus", true)];
        assert_eq!(pick(&both, Scale::X2).as_deref(), Some("realesrgan-x2plus"));
        assert_eq!(pick(&both, Scale::X4).as_deref(), Some("realesrgan-x4plus"));
        assert_eq!(pick(&both[..2], Scale::X2).as_deref(), Some("realesrgan-x4plus"));
        assert_eq!(pick(&both[..1], Scale::X2).as_deref(), Some("other"));
        assert_eq!(pick(&[upscaler("realesrgan-x4plus", false)], Scale::X2), None);
    }

    #[test]
    fn a_named_model_is_taken_only_when_installed() {
        let models = [upscaler("a", true), upscaler("b", false)];
        let pick = |id| resolve(&models, &ModelId::parse(id).unwrap(), Scale::X2);
        assert!(pick("a").is_some());
        assert!(pick("b").is_none());
        assert!(pick("c").is_none());
    }
}
