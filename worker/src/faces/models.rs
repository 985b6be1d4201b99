//! The choice among the installed models that find and restore faces.

use remaster_engine::{Available, Kind, SharedEngine};
use remaster_shared::job::ModelId;

use super::detector::Detector;

/// In order of preference; others of the kind come after them.
const DETECTORS: &[&str] = &["yunet-2026may", "retinaface-r50"];
const RESTORERS: &[&str] = &["gfpgan-1.4", "gfpgan-1.3", "gfpgan-1.2"];
const PARSERS: &[&str] = &["parsenet"];

/// The models that find and restore the faces of one picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaceModels {
    /// Finds faces and their landmarks.
    pub detector: Detector,
    /// Restores aligned faces: `[n, 3, 512, 512]`, red, green, blue, -1..=1, to the same.
    pub restorer: ModelId,
    /// Tells the face from hair and background, so that the mask follows the face. Faces are restored without it too.
    pub parser: Option<ModelId>,
}

impl FaceModels {
    /// The preferred ones of the models that are installed now; `None` without a known detector or without a restorer.
    pub async fn installed(engine: &SharedEngine) -> Option<Self> {
        let restorer = preferred(engine.installed(Kind::FaceRestorer).await, RESTORERS).next()?.id;
        let detector = preferred(engine.installed(Kind::Detector).await, DETECTORS).find_map(Detector::new)?;
        let parser = preferred(engine.installed(Kind::FaceParser).await, PARSERS).next().map(|model| model.id);
        Some(Self { detector, restorer, parser })
    }
}

fn preferred(mut models: Vec<Available>, order: &[&str]) -> impl Iterator<Item = Available> {
    let rank = |model: &Available| order.iter().position(|id| *id == model.id.as_str()).unwrap_or(order.len());
    models.sort_by_key(rank);
    models.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_preferred_one_comes_first_and_others_after() {
        let ids = ["another", "gfpgan-1.3", "gfpgan-1.4"];
        let available = ids.map(|id| Available { id: ModelId::parse(id).unwrap(), architecture: "gfpgan".into() });
        let sorted: Vec<_> = preferred(available.into(), RESTORERS).map(|model| model.id.to_string()).collect();
        assert_eq!(sorted, ["gfpgan-1.4", "gfpgan-1.3", "another"]);
    }
}
