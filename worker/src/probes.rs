//! Whether what kept this worker from making pictures works again.

use std::io::Write;

use async_trait::async_trait;
use ndarray::Array4;
use remaster_blobs::{BlobError, Blobs};
use remaster_shared::blob_key::BlobKey;
use remaster_shared::job::{JobId, ModelId};

use crate::enhance::Enhancer;
use crate::gate::{Part, Probe};
use crate::space::Space;

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
    /// The space that is to be left.
    pub space: Space,
}

#[async_trait]
impl Probe for Probes {
    async fn probe(&self, part: &Part) -> Result<(), String> {
        match part {
            Part::Storage => self.storage().await.map_err(|error| error.to_string()),
            Part::Spool => {
                self.space.check()?;
                self.spool().await.map_err(|error| error.to_string())
            }
            Part::Model(model) => self.model(model).await,
        }
    }
}

impl Probes {
    /// Stores, reads and deletes a small object, since a storage that answers may still refuse to take anything, or not find it again.
    async fn storage(&self) -> Result<(), BlobError> {
        let file = tempfile::NamedTempFile::new_in(&self.enhancer.spool)?;
        let key = BlobKey::Input(JobId::random());
        self.blobs.put_file(key, file.path()).await?;
        self.blobs.get(key).await?;
        self.blobs.delete(key).await
    }

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
