//! Restoring faces, a few at a time, and blending each batch in before the next: memory is bounded by the batch.

use std::sync::Arc;

use futures::future::BoxFuture;
use ndarray::{Axis, concatenate};
use remaster_shared::job::ModelId;

use super::align::Similarity;
use super::blend::{Restored, blend};
use super::mask::Masks;
use super::models::FaceModels;
use super::parse::parse;
use super::{Face, crop};
use crate::enhance::EnhanceError;
use crate::picture::Picture;
use crate::upscale::blocking;
use remaster_engine::{EngineError, SharedEngine, Tensor};

/// Faces restored in one picture, the surest ones: bounds what a collage of thousands costs.
const MOST: usize = 64;
/// Faces per run of the network.
const BATCH: usize = 4;

/// What is to be restored, and how.
pub struct Restoration<'a> {
    pub engine: &'a SharedEngine,
    pub models: &'a FaceModels,
    /// The picture that the faces were found in.
    pub source: Arc<Picture>,
    pub faces: &'a [Face],
    /// How much larger than that the picture is into which they go.
    pub factor: usize,
    /// 0 keeps the face as it was enlarged, 1 takes the restored one whole.
    pub strength: f64,
}

/// Restores the faces that are large enough and blends them into `picture`; returns it and how many they were.
/// `progress` hears the fraction done.
///
/// # Errors
/// The engine's, or a face that came back broken: nothing is ever put in its place.
pub async fn restore(
    work: Restoration<'_>,
    mut picture: Picture,
    progress: &(dyn Fn(f64) + Send + Sync),
) -> Result<(Picture, usize), EnhanceError> {
    let Restoration { engine, models, source, faces, factor, strength } = work;
    let aligns = faces.iter().filter(|face| face.is_restorable()).filter_map(Similarity::of);
    let aligns: Vec<Similarity> = aligns.take(MOST).collect();
    let enlarged: Vec<Similarity> = aligns.iter().map(|align| align.from_enlarged(factor)).collect();
    let masks = Arc::new(Masks::new(&enlarged, &picture, strength));
    for (number, batch) in aligns.chunks(BATCH).enumerate() {
        let (from, batch) = (Arc::clone(&source), batch.to_vec());
        let input = blocking(move || gather(&from, &batch)).await??;
        let restored = run(engine, &models.restorer, input).await?;
        let parsed = match &models.parser {
            Some(parser) => parse(engine, parser, restored.clone()).await?,
            None => Vec::new(),
        };
        let masks = Arc::clone(&masks);
        picture = blocking(move || {
            let restored = restored.mapv_into(|value| (value + 1.0) / 2.0);
            for (at, face) in restored.outer_iter().enumerate() {
                blend(&mut picture, &masks, &Restored { index: number * BATCH + at, face, parsed: parsed.get(at) });
            }
            picture
        })
        .await?;
        progress(((number + 1) * BATCH).min(aligns.len()) as f64 / aligns.len() as f64);
    }
    Ok((picture, aligns.len()))
}

/// The aligned faces as `[n, 3, 512, 512]`, -1..=1.
fn gather(source: &Picture, aligns: &[Similarity]) -> Result<Tensor, EngineError> {
    let faces: Vec<Tensor> = aligns.iter().map(|align| crop(source, align)).collect();
    let views: Vec<_> = faces.iter().map(|face| face.view()).collect();
    let faces = concatenate(Axis(0), &views).map_err(|error| EngineError::Run(error.to_string()))?;
    Ok(faces.mapv_into(|value| value * 2.0 - 1.0))
}

/// The restored faces, -1..=1; in halves when they do not fit into memory together.
fn run<'a>(engine: &'a SharedEngine, model: &'a ModelId, faces: Tensor) -> BoxFuture<'a, Result<Tensor, EngineError>> {
    Box::pin(async move {
        let (count, expected) = (faces.dim().0, faces.dim());
        // Kept for a second try only where there can be one.
        let again = (count > 1).then(|| faces.clone());
        let restored = match (engine.run(model, faces).await, again) {
            (Err(EngineError::OutOfMemory(cause)), Some(faces)) => {
                tracing::warn!(count, %cause, "the faces did not fit together; trying half of them");
                let (first, second) = faces.view().split_at(Axis(0), count / 2);
                let first = run(engine, model, first.to_owned()).await?;
                let second = run(engine, model, second.to_owned()).await?;
                let joined = concatenate(Axis(0), &[first.view(), second.view()]);
                return joined.map_err(|error| EngineError::Run(error.to_string()));
            }
            (restored, _) => restored?,
        };
        if restored.dim() != expected {
            let got = restored.dim();
            return Err(EngineError::Run(format!("the restored faces are {got:?}, not {expected:?}")));
        }
        if !restored.iter().all(|value| value.is_finite()) {
            return Err(EngineError::Run("a restored face has values that are not numbers".into()));
        }
        Ok(restored.mapv_into(|value| value.clamp(-1.0, 1.0)))
    })
}
