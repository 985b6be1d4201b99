//! The steps that make a picture, each with the part of the request that it needs.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use remaster_engine::SharedEngine;
use remaster_shared::job::{EnhanceParams, FaceMode, FaceReport, FaceStatus, InputInfo};

use super::error::EnhanceError;
use crate::blocking::blocking;
use crate::faces::{self, Face, FaceModels, Restoration};
use crate::picture::{self, Decoded, Encoded, Picture};
use crate::progress::Progress;
use crate::upscale::{TileSettings, UpscaleError, Upscaler};

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

    /// Enlarges the picture by the network, or by Lanczos where the background is to be left as it is.
    pub(super) async fn enlarge(
        &self,
        picture: &Arc<Picture>,
        progress: Progress<'_>,
    ) -> Result<Picture, EnhanceError> {
        let EnhanceParams { scale, background, .. } = self.params;
        let picture = Arc::clone(picture);
        if *background {
            let engine = Arc::clone(self.engine);
            let upscaler = Upscaler { engine, tiles: self.tiles, model: self.params.network(), scale: *scale };
            Ok(upscaler.upscale(picture, progress).await?)
        } else {
            let scale = scale.factor() as usize;
            Ok(blocking(move || picture::enlarge(&picture, scale)).await??)
        }
    }

    /// Restores the faces that were found in `picture` and blends them into `enlarged`.
    pub(super) async fn restore_faces(
        &self,
        search: &FaceSearch,
        picture: Arc<Picture>,
        enlarged: Picture,
        progress: Progress<'_>,
    ) -> Result<(Picture, FaceReport), EnhanceError> {
        let (models, found) = match search {
            FaceSearch::Skipped(status) => {
                return Ok((enlarged, FaceReport { found: 0, restored: 0, status: *status }));
            }
            FaceSearch::Done(models, found) => (models, found),
        };
        let restoration = Restoration {
            engine: self.engine,
            models,
            source: picture,
            faces: found,
            scale: self.params.scale.factor() as usize,
            strength: self.params.face_strength,
        };
        let (finished, restored) = faces::restore(restoration, enlarged, progress).await?;
        let status = if found.is_empty() { FaceStatus::NoneFound } else { FaceStatus::Restored };
        Ok((finished, FaceReport { found: found.len() as u32, restored: restored as u32, status }))
    }

    /// Lays the grain of the original over the picture that was made of it, as far as that is asked for.
    pub(super) async fn keep_grain(&self, original: Arc<Picture>, finished: Picture) -> Result<Picture, EnhanceError> {
        let amount = self.params.grain;
        if amount == 0.0 {
            return Ok(finished);
        }
        Ok(blocking(move || picture::keep_grain(&original, finished, amount)).await??)
    }

    /// Reduces the picture to the largest side that was asked for.
    pub(super) async fn fit(&self, finished: Picture, of: (usize, usize)) -> Result<Picture, EnhanceError> {
        let (width, height) = self.params.result_size(of.0 as u32, of.1 as u32);
        let (width, height) = (width as usize, height as usize);
        if (width, height) == (finished.width, finished.height) {
            return Ok(finished);
        }
        Ok(blocking(move || picture::resize(&finished, width, height)).await??)
    }

    /// Writes the picture as a file into the spool folder.
    pub(super) async fn encode(&self, finished: Picture) -> Result<Encoded, EnhanceError> {
        let EnhanceParams { format, quality, .. } = *self.params;
        let spool = self.spool.to_owned();
        Ok(blocking(move || picture::encode(&finished, format, quality, &spool)).await??)
    }
}
