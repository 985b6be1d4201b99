//! Restoring faces, a few at a time.

use std::sync::Arc;

use futures::future::BoxFuture;
use ndarray::{Array2, Axis, ShapeError, concatenate};
use remaster_engine::{EngineError, SharedEngine, Tensor};
use remaster_shared::job::ModelId;

use super::align::{FACE_SIZE, Similarity};
use super::blend::{RestoredFace, RestoredFaces};
use super::color::keep_colors;
use super::crop::{crop, inside};
use super::error::FacesError;
use super::face::Face;
use super::mask::{BlendMasks, Outline};
use super::models::FaceModels;
use super::segmentation::segment;
use crate::blocking::blocking;
use crate::output::{expect_finite, expect_shape};
use crate::picture::{Picture, keep_grain};
use crate::progress::Progress;

/// The most faces that are restored in one picture, those with the highest scores: bounds what a collage of thousands
/// of faces costs.
const MAX_FACES: usize = 64;

/// The side of a face's square, in pixels, from which on nothing of the restored face is used.
const LARGEST: f64 = 1000.0;

/// Faces per run of the network.
const BATCH_SIZE: usize = 4;

/// The faces to restore, and how.
pub struct Restoration<'a> {
    /// Runs the networks.
    pub engine: &'a SharedEngine,
    /// The networks.
    pub models: &'a FaceModels,
    /// The picture that the faces were found in.
    pub source: Arc<Picture>,
    /// The faces in pixels of `source`, by falling score.
    pub faces: &'a [Face],
    /// The scale of the enlarged picture relative to `source`.
    pub scale: usize,
    /// 0 keeps each face as it was enlarged, 1 replaces it by the restored one, where it needs that.
    pub strength: f64,
    /// How much of the picture's own grain is laid over a restored face, 0..=1.
    pub grain: f64,
}

/// Restores the faces that need it: those that are neither too small to be a face nor so large that they are sharp already. `progress`
/// hears the fraction of faces that are done.
///
/// # Errors
/// A network cannot be run, or a restored face cannot be used. Nothing is ever put in the place of such a face.
pub async fn restore(restoration: Restoration<'_>, progress: Progress<'_>) -> Result<RestoredFaces, FacesError> {
    let Restoration { engine, models, source, faces, scale, strength, grain } = restoration;
    let aligns = faces.iter().filter(|face| face.is_restorable()).filter_map(Similarity::aligning);
    let chosen = aligns.map(|align| (align, strength * need(&align))).filter(|(_, strength)| *strength > 0.0);
    let (aligns, strengths): (Vec<Similarity>, Vec<f64>) = chosen.take(MAX_FACES).unzip();
    let in_enlarged: Vec<Similarity> = aligns.iter().map(|align| align.from_enlarged(scale)).collect();
    let outline = if models.parser.is_some() { Outline::Square } else { Outline::Oval };
    let masks = BlendMasks::new(&in_enlarged, &strengths, outline, (source.width * scale, source.height * scale));
    let mut restored_faces = Vec::new();
    for batch in aligns.chunks(BATCH_SIZE) {
        let (from, batch) = (Arc::clone(&source), batch.to_vec());
        let (own, inside) = blocking(move || crop_batch(&from, &batch)).await??;
        let restored = run(engine, &models.restorer, own.mapv(|value| value * 2.0 - 1.0)).await?;
        let segmentations = match &models.parser {
            Some(parser) => segment(engine, parser, restored.clone()).await?.into_iter().map(Some).collect(),
            None => vec![None; own.dim().0],
        };
        let restored = blocking(move || finish(restored, own, &inside, grain as f32)).await??;
        let pairs = restored.outer_iter().zip(segmentations);
        let faces = pairs.map(|(pixels, segmentation)| RestoredFace { pixels: pixels.to_owned(), segmentation });
        restored_faces.extend(faces);
        progress(restored_faces.len() as f64 / aligns.len() as f64);
    }
    Ok(RestoredFaces { masks, faces: restored_faces })
}

/// The restored faces, -1..=1, as they are put into the picture, 0..=1: with its `own` colours, and some of its grain.
fn finish(restored: Tensor, own: Tensor, inside: &[Array2<f32>], grain: f32) -> Result<Tensor, FacesError> {
    let mut face = restored.mapv_into(|value| (value + 1.0) / 2.0);
    keep_colors(&mut face, &own, inside);
    Ok(if grain > 0.0 { keep_grain(&own, face, grain)? } else { face })
}

/// How much a face needs to be restored, 0..=1, by the side of its square in the picture that it was found in. A restorer works at 512
/// pixels: up to there it adds detail, and above it takes more and more of the picture's own.
fn need(align: &Similarity) -> f64 {
    let side = FACE_SIZE as f64 / align.scale();
    ((LARGEST - side) / (LARGEST - FACE_SIZE as f64)).clamp(0.0, 1.0)
}

/// The aligned faces as `[n, 3, 512, 512]`, red, green, blue, 0..=1, and which of their pixels are in the picture.
fn crop_batch(source: &Picture, aligns: &[Similarity]) -> Result<(Tensor, Vec<Array2<f32>>), ShapeError> {
    let faces: Vec<Tensor> = aligns.iter().map(|align| crop(source, align)).collect();
    let views: Vec<_> = faces.iter().map(|face| face.view()).collect();
    Ok((concatenate(Axis(0), &views)?, aligns.iter().map(|align| inside(source, align)).collect()))
}

/// The restored faces, `[n, 3, 512, 512]`, -1..=1. Faces that do not fit into the device's memory together are run in
/// two halves.
fn run<'a>(engine: &'a SharedEngine, model: &'a ModelId, faces: Tensor) -> BoxFuture<'a, Result<Tensor, FacesError>> {
    Box::pin(async move {
        let (count, channels, height, width) = faces.dim();
        // A copy for a second try in two halves. A single face cannot be split, so it needs no copy.
        let again = (count > 1).then(|| faces.clone());
        let restored = match (engine.run(model, faces).await, again) {
            (Err(EngineError::OutOfMemory(cause)), Some(faces)) => {
                tracing::warn!(count, %cause, "the faces did not fit together; trying half of them");
                let (first, second) = faces.view().split_at(Axis(0), count / 2);
                let first = run(engine, model, first.to_owned()).await?;
                let second = run(engine, model, second.to_owned()).await?;
                return Ok(concatenate(Axis(0), &[first.view(), second.view()])?);
            }
            (restored, _) => restored?,
        };
        expect_shape("the restorer's output", &restored, &[count, channels, height, width])?;
        expect_finite("the restorer's output", &restored)?;
        Ok(restored.mapv_into(|value| value.clamp(-1.0, 1.0)))
    })
}
