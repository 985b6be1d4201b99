//! Whether what kept this worker from making pictures works again.

use std::io::Write;

use async_trait::async_trait;
use ndarray::Array4;
use remaster_blobs::Blobs;
use remaster_shared::job::ModelId;

use crate::enhance::Enhancer;
use crate::faces::FaceModels;
use crate::gate::{Part, Probe};

/// What is written to the spool folder to see whether it takes a picture, in bytes.
const SPOOL_TRIAL: usize = 1 << 20;
/// The side of the tile that a model is tried with, in pixels: a multiple of what any network needs.
const TILE_TRIAL: usize = 64;

/// The real probes.
pub struct Probes {
    /// The storage.
    pub blobs: Blobs,
    /// The engine and the spool folder.
    pub enhancer: Enhancer,
}

#[async_trait]
impl Probe for Probes {
    async fn probe(&self, part: &Part) -> Result<(), String> {
        match part {
            Part::Storage => self.blobs.ping().await.map_err(|error| error.to_string()),
            Part::Spool => self.spool().await.map_err(|error| error.to_string()),
            Part::Model(model) => self.model(model).await,
            Part::FaceModels => {
                FaceModels::installed(&self.enhancer.engine).await.map(drop).ok_or("no face models".to_owned())
            }
        }
    }
}

impl Probes {
    async fn spool(&self) -> std::io::Result<()> {
        let folder = self.enhancer.spool.clone();
        let trial = move || {
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            file.write_all(&vec![0x5A; SPOOL_TRIAL])?;
            file.as_file().sync_all()
        };
        tokio::task::spawn_blocking(trial).await.map_err(std::io::Error::other)?
    }

    async fn model(&self, model: &ModelId) -> Result<(), String> {
        let tile = Array4::from_elem((1, 3, TILE_TRIAL, TILE_TRIAL), 0.5);
        self.enhancer.engine.run(model, tile).await.map(drop).map_err(|error| error.to_string())
    }
}
