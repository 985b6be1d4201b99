//! Which of the installed models do the faces.

use remaster_shared::job::ModelId;

use super::detector::Detector;
use remaster_engine::{Kind, SharedEngine};

/// What one picture's faces are done with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaceModels {
    pub detector: Detector,
    pub restorer: ModelId,
    /// Tells hair and background from the face, for a closer mask.
    pub parser: Option<ModelId>,
}

impl FaceModels {
    /// The preferred networks of those that are installed now; `None` without a detector or without a restorer.
    pub async fn installed(engine: &SharedEngine) -> Option<Self> {
        let restorer = engine.installed(Kind::FaceRestorer).await.into_iter().next()?.id;
        let detector = engine.installed(Kind::Detector).await.into_iter().find_map(Detector::new)?;
        let parser = engine.installed(Kind::FaceParser).await.into_iter().next().map(|model| model.id);
        Some(Self { detector, restorer, parser })
    }
}
