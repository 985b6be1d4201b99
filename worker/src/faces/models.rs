//! The choice among the installed models that find and restore faces.

use remaster_engine::{Kind, SharedEngine};
use remaster_shared::job::ModelId;

use super::detector::Detector;

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
        let restorer = engine.installed(Kind::FaceRestorer).await.into_iter().next()?.id;
        let detector = engine.installed(Kind::Detector).await.into_iter().find_map(Detector::new)?;
        let parser = engine.installed(Kind::FaceParser).await.into_iter().next().map(|model| model.id);
        Some(Self { detector, restorer, parser })
    }
}
