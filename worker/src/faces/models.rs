//! Which of the installed models do the faces.

use remaster_shared::job::ModelId;

use super::detector::Detector;
use remaster_engine::{Available, Kind, SharedEngine};

/// In order of preference; others of the kind come after them.
const DETECTORS: &[&str] = &["yunet-2026may", "retinaface-r50"];
const RESTORERS: &[&str] = &["gfpgan-1.4", "gfpgan-1.3", "gfpgan-1.2"];
const PARSERS: &[&str] = &["parsenet"];

/// What one picture's faces are done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaceModels {
    pub detector: Detector,
    pub restorer: ModelId,
    /// Tells hair and background from the face, for a closer mask.
    pub parser: Option<ModelId>,
}

impl FaceModels {
    /// What is installed now; `None` without a detector or without a restorer.
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
