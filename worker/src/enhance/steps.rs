//! The steps that make a picture, each with the part of the request that it needs.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use remaster_engine::SharedEngine;
use remaster_shared::job::{EnhanceParams, FaceMode, FaceReport, FaceStatus, InputInfo};

use super::error::EnhanceError;
use super::output::{Output, Writer};
use crate::blocking::blocking;
use crate::faces::{self, Face, FaceModels, Restoration, RestoredFaces};
use crate::picture::{self, Decoded, Encoder, Header, Picture, Reducer};
use crate::progress::Progress;
use crate::upscale::{Strips, TileSettings, UpscaleError, Upscaler};

/// About so many pixels of a result are made at once without a network.
const STRIP_PIXELS: usize = 4 << 20;

/// The steps of one request.
pub(super) struct Steps<'a> {
    pub engine: &'a SharedEngine,
    pub tiles: TileSettings,
    /// The folder for the finished file.
    pub spool: &'a Path,
    pub params: &'a EnhanceParams,
}

/// The outcome of the search for faces.
pub(super) enum FaceSearch {
    /// There was no search, for the reason that the status names.
    Skipped(FaceStatus),
    /// The faces in the picture, and the models that will restore them.
    Done(FaceModels, Vec<Face>),
}

impl FaceSearch {
    /// How many faces were found.
    pub(super) fn count(&self) -> usize {
        match self {
            FaceSearch::Skipped(_) => 0,
            FaceSearch::Done(_, faces) => faces.len(),
        }
    }
}

impl Steps<'_> {
    /// Decodes the upload, whose header said `info`.
    pub(super) async fn decode(&self, input: Bytes, info: &InputInfo) -> Result<Decoded, EnhanceError> {
        let header = info.clone();
        blocking(move || picture::decode(&input, &header)).await?.map_err(EnhanceError::Picture)
    }

    /// Applies the EXIF orientation.
    pub(super) async fn upright(&self, decoded: Decoded) -> Result<Arc<Picture>, EnhanceError> {
        let policy = self.params.metadata;
        Ok(Arc::new(blocking(move || decoded.upright(policy)).await?))
    }

    /// Finds faces at the input's resolution, where they are asked for and the models for them are installed.
    pub(super) async fn find_faces(&self, picture: &Arc<Picture>) -> Result<FaceSearch, EnhanceError> {
        let models = match self.params.faces {
            FaceMode::Off => return Ok(FaceSearch::Skipped(FaceStatus::Off)),
            FaceMode::Auto if self.is_drawing().await? => return Ok(FaceSearch::Skipped(FaceStatus::Drawing)),
            FaceMode::Auto | FaceMode::Require => FaceModels::installed(self.engine).await,
        };
        match models {
            Some(models) => {
                let found = faces::detect(self.engine, &models.detector, picture).await?;
                Ok(FaceSearch::Done(models, found))
            }
            None if self.params.faces == FaceMode::Require => Err(EnhanceError::NoFaceModel),
            None => Ok(FaceSearch::Skipped(FaceStatus::ModelNotInstalled)),
        }
    }

    /// Whether the picture is enlarged by a network for drawings. A restorer makes the face of a photo out of a drawn one.
    async fn is_drawing(&self) -> Result<bool, EnhanceError> {
        let EnhanceParams { model, background, .. } = self.params;
        Ok(*background && self.engine.network(model).await.map_err(UpscaleError::Engine)?.drawings)
    }

    /// Restores the faces that were found in `picture`.
    pub(super) async fn restore_faces(
        &self,
        search: &FaceSearch,
        picture: &Arc<Picture>,
        progress: Progress<'_>,
    ) -> Result<(Option<RestoredFaces>, FaceReport), EnhanceError> {
        let (models, found) = match search {
            FaceSearch::Skipped(status) => return Ok((None, FaceReport { found: 0, restored: 0, status: *status })),
            FaceSearch::Done(models, found) => (models, found),
        };
        let restoration = Restoration {
            engine: self.engine,
            models,
            source: Arc::clone(picture),
            faces: found,
            scale: self.params.scale.factor() as usize,
            strength: self.params.face_strength,
            grain: self.params.grain,
        };
        let restored = faces::restore(restoration, progress).await?;
        let status = if found.is_empty() { FaceStatus::NoneFound } else { FaceStatus::Restored };
        let report = FaceReport { found: found.len() as u32, restored: restored.count() as u32, status };
        Ok((Some(restored), report))
    }

    /// Begins the file of the result, which has `size` pixels.
    pub(super) async fn output(
        &self,
        picture: &Arc<Picture>,
        size: (usize, usize),
        faces: Option<RestoredFaces>,
    ) -> Result<Output, EnhanceError> {
        let EnhanceParams { format, quality, scale, .. } = *self.params;
        let scale = scale.factor() as usize;
        let enlarged = (picture.width * scale, picture.height * scale);
        let reducer = (size != enlarged).then(|| Reducer::new(enlarged.1, size));
        let (header, spool) = (Header::like(picture, size), self.spool.to_owned());
        let encoder = blocking(move || Encoder::new(header, format, quality, &spool)).await??;
        let faces = faces.map(Arc::new);
        Ok(Output::new(Writer { faces, reducer, encoder, blending: Duration::ZERO, encoding: Duration::ZERO }))
    }

    /// Enlarges the picture by the network, or by Lanczos where the background is to be left as it is.
    pub(super) async fn enlarge(
        &self,
        picture: Arc<Picture>,
        progress: Progress<'_>,
        out: &mut Output,
    ) -> Result<(), EnhanceError> {
        let EnhanceParams { scale, background, grain, .. } = *self.params;
        if background {
            let (engine, model) = (Arc::clone(self.engine), self.params.network());
            let upscaler = Upscaler { engine, tiles: self.tiles, model, scale, grain };
            return upscaler.upscale(picture, progress, out).await;
        }
        let scale = scale.factor() as usize;
        let rows = (STRIP_PIXELS / (picture.width * scale * scale)).max(1);
        for top in (0..picture.height).step_by(rows) {
            let source = Arc::clone(&picture);
            let part = top..(top + rows).min(picture.height);
            let strip = blocking(move || picture::enlarge(&source, part, scale)).await??;
            out.room().await?;
            out.take(strip);
            progress((top + rows).min(picture.height) as f64 / picture.height as f64);
        }
        Ok(())
    }
}
