//! Models: what kinds there are, what `GET /models` shows of each, and which upscaler `auto` stands for.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::job::{ModelId, Scale};

/// What an asset is for. The names in the manifest, in model metadata and in answers are those of [`Kind::as_str`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Turns images `[N,3,H,W]`, RGB in 0..1, into the same enlarged by S, `[N,3,S*H,S*W]`.
    Upscaler,
    /// Turns aligned faces `[N,3,512,512]`, RGB in -1..1, into the same restored.
    FaceRestorer,
    /// Finds faces in `[1,3,H,W]`; its architecture says in which range and channel order, and what it gives.
    Detector,
    /// Turns aligned faces `[N,3,512,512]`, RGB in -1..1, into a logit for each part of a face, `[N,19,512,512]`.
    FaceParser,
    /// The ONNX Runtime library.
    Runtime,
    /// A picture for tests and first steps.
    Photo,
    /// A kind that this release does not know, as a worker of a later release may announce.
    #[serde(other)]
    Other,
}

/// A name that is not that of a [`Kind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not the name of a kind of asset")]
pub struct UnknownKind;

impl Kind {
    const KNOWN: [Self; 6] =
        [Self::Upscaler, Self::FaceRestorer, Self::Detector, Self::FaceParser, Self::Runtime, Self::Photo];

    /// The kind's name, such as `face_restorer`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Upscaler => "upscaler",
            Self::FaceRestorer => "face_restorer",
            Self::Detector => "detector",
            Self::FaceParser => "face_parser",
            Self::Runtime => "runtime",
            Self::Photo => "photo",
            Self::Other => "other",
        }
    }

    /// Whether such an asset is a network, installed as `ID.onnx`.
    #[must_use]
    pub fn is_model(self) -> bool {
        matches!(self, Self::Upscaler | Self::FaceRestorer | Self::Detector | Self::FaceParser)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Kind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        Self::KNOWN.into_iter().find(|kind| kind.as_str() == name).ok_or(UnknownKind)
    }
}

/// One model as `GET /models` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ModelInfo {
    pub id: String,
    /// `upscaler`, `runtime`, …
    #[schema(value_type = String)]
    pub kind: Kind,
    pub architecture: String,
    /// The factor the network itself enlarges by; null where that has no meaning.
    pub scale: Option<u32>,
    pub licence: String,
    pub licence_note: Option<String>,
    pub installed: bool,
    /// The place among the models of its kind in the order of preference; the lowest is preferred, and models without a
    /// rank come last. It comes from the manifest of this release and is part of no answer and no stored record.
    #[serde(skip)]
    pub rank: Option<u32>,
    /// An upscaler's work for a pixel of the input, in units of `realesrgan-x4plus`, where it is known. Like the rank, it comes from the
    /// manifest of this release.
    #[serde(skip)]
    pub cost: Option<f64>,
    /// The upscaler of the same shape that removes less noise, if there is one. Like the rank, it comes from the manifest of this release.
    #[serde(skip)]
    pub weak_denoiser: Option<String>,
    /// The SHA-256 of the weights that are installed here. It is this machine's own, and no part of what is announced.
    #[serde(skip)]
    pub source_sha256: Option<String>,
}

/// The models of this machine, installed and known.
pub trait Catalogue: Send + Sync + 'static {
    /// Every model; those of the manifest come first, in its order.
    fn models(&self) -> Vec<ModelInfo>;
}

/// The model name that lets the service choose.
pub const AUTO: &str = "auto";

/// The upscaler for `asked` at `scale`, or `None` where it is not installed.
///
/// `auto` takes the installed upscaler of the lowest rank that enlarges by at least `scale`; a larger result is reduced.
/// Where none has a rank, it takes the first installed upscaler.
pub fn resolve(models: &[ModelInfo], asked: &ModelId, scale: Scale) -> Option<ModelId> {
    let mut upscalers = models.iter().filter(|model| model.installed && model.kind == Kind::Upscaler);
    let model = if asked.as_str() == AUTO {
        let enough = |model: &&ModelInfo| model.scale.is_some_and(|native| native >= scale.factor());
        let ranked = upscalers.clone().filter(enough).filter_map(|model| Some((model.rank?, model)));
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, model)| model).or_else(|| upscalers.next())?
    } else {
        upscalers.find(|model| model.id == asked.as_str())?
    };
    ModelId::parse(&model.id).ok()
}

/// The upscalers that a machine with these models can tell how much noise to remove: those whose weak denoiser is installed too.
pub fn denoisers(models: &[ModelInfo]) -> Vec<ModelId> {
    let has = |id: &str| models.iter().any(|model| model.installed && model.id == id);
    let can = |model: &&ModelInfo| has(&model.id) && model.weak_denoiser.as_deref().is_some_and(has);
    models.iter().filter(can).filter_map(|model| ModelId::parse(&model.id).ok()).collect()
}

/// Whether a machine with these models restores faces, which takes a detector and a restorer.
pub fn restores_faces(models: &[ModelInfo]) -> bool {
    let has = |kind| models.iter().any(|model| model.installed && model.kind == kind);
    has(Kind::Detector) && has(Kind::FaceRestorer)
}

/// An upscaler by four without a rank, for tests.
#[cfg(any(test, feature = "testing"))]
pub fn upscaler(id: &str, installed: bool) -> ModelInfo {
    ModelInfo {
        id: id.into(),
        kind: Kind::Upscaler,
        architecture: String::new(),
        scale: Some(4),
        licence: String::new(),
        licence_note: None,
        installed,
        rank: None,
        cost: None,
        weak_denoiser: None,
        source_sha256: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the manifest ranks the two.
    fn ranked(id: &str, scale: u32, rank: u32) -> ModelInfo {
        ModelInfo { scale: Some(scale), rank: Some(rank), ..upscaler(id, true) }
    }

    #[test]
    fn noise_is_left_by_a_network_with_a_weak_denoiser() {
        let weak_denoiser = Some("weak".to_owned());
        let strong = |installed| ModelInfo { weak_denoiser: weak_denoiser.clone(), ..upscaler("strong", installed) };
        let found = |models: &[ModelInfo]| denoisers(models).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(found(&[upscaler("other", true), strong(true), upscaler("weak", true)]), ["strong"]);
        assert_eq!(found(&[strong(true), upscaler("weak", false)]), [""; 0]);
        assert_eq!(found(&[strong(false), upscaler("weak", true)]), [""; 0]);
    }

    #[test]
    fn auto_prefers_the_network_of_the_scale() {
        let pick = |models: &[ModelInfo], scale| {
            resolve(models, &ModelId::parse(AUTO).unwrap(), scale).map(|id| id.as_str().to_owned())
        };
        let all = [upscaler("other", true), ranked("by-four", 4, 2), ranked("by-two", 2, 1)];
        assert_eq!(pick(&all, Scale::X2).as_deref(), Some("by-two"));
        assert_eq!(pick(&all, Scale::X4).as_deref(), Some("by-four"));
        assert_eq!(pick(&all[..2], Scale::X2).as_deref(), Some("by-four"));
        assert_eq!(pick(&all[..1], Scale::X2).as_deref(), Some("other"));
        assert_eq!(pick(&all[2..], Scale::X4).as_deref(), Some("by-two"));
        assert_eq!(pick(&[ModelInfo { installed: false, ..ranked("by-four", 4, 2) }], Scale::X2), None);
        assert_eq!(pick(&[ModelInfo { kind: Kind::Detector, ..ranked("faces", 4, 1) }], Scale::X2), None);
    }

    #[test]
    fn a_kind_has_the_same_name_everywhere() {
        for kind in Kind::KNOWN {
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.as_str());
            assert_eq!(kind.as_str().parse(), Ok(kind));
        }
        assert_eq!(serde_json::from_str::<Kind>("\"colouriser\"").unwrap(), Kind::Other);
        assert!("colouriser".parse::<Kind>().is_err());
    }

    #[test]
    fn a_rank_stays_out_of_answers_and_records() {
        let json = serde_json::to_value(ranked("by-four", 4, 2)).unwrap();
        assert_eq!(json.get("rank"), None);
        assert_eq!(serde_json::from_value::<ModelInfo>(json).unwrap().rank, None);
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
