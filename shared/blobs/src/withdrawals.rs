//! Notes of submits that the job store did not answer and that have still to be withdrawn. They lie beside the pictures, so that
//! a restart of the API, or the loss of its machine, forgets none: any API node finds them.

use futures::TryStreamExt;
use object_store::{ObjectStore, ObjectStoreExt, path::Path};
use remaster_shared::job::JobId;

use crate::{BlobError, Blobs};

const FOLDER: &str = "withdrawals";

/// One submit to be withdrawn: its jobs. The first names the note.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withdrawal(Vec<JobId>);

impl Withdrawal {
    /// The withdrawal of these jobs; `None` without any.
    pub fn of(jobs: Vec<JobId>) -> Option<Self> {
        (!jobs.is_empty()).then_some(Self(jobs))
    }

    /// The jobs to withdraw.
    pub fn jobs(&self) -> &[JobId] {
        &self.0
    }

    fn path(&self, owner: &str) -> Path {
        Path::from(format!("{FOLDER}/{owner}/{}", self.0[0]))
    }
}

impl Blobs {
    /// Keeps a note of the withdrawal until [`Blobs::withdrawn`]. `owner` names the job store, whose nodes alone find it.
    ///
    /// # Errors
    /// The storage does not answer.
    pub async fn note_withdrawal(&self, owner: &str, withdrawal: &Withdrawal) -> Result<(), BlobError> {
        let lines: Vec<String> = withdrawal.0.iter().map(ToString::to_string).collect();
        self.store.put(&withdrawal.path(owner), lines.join("\n").into()).await.map_err(BlobError::Unavailable)?;
        Ok(())
    }

    /// The withdrawals that the nodes of `owner` have noted. A note that cannot be read is left out.
    ///
    /// # Errors
    /// The storage does not answer.
    pub async fn withdrawals(&self, owner: &str) -> Result<Vec<Withdrawal>, BlobError> {
        let mut noted = Vec::new();
        let mut notes = self.store.list(Some(&Path::from(format!("{FOLDER}/{owner}"))));
        while let Some(note) = notes.try_next().await.map_err(BlobError::Unavailable)? {
            let got = match self.store.get(&note.location).await {
                Ok(got) => got.bytes().await,
                Err(error) => Err(error),
            };
            let content = match got {
                Ok(content) => content,
                // Another node was faster.
                Err(object_store::Error::NotFound { .. }) => continue,
                Err(error) => {
                    tracing::warn!(note = %note.location, %error, "a note of a withdrawal cannot be read now");
                    continue;
                }
            };
            let jobs = String::from_utf8_lossy(&content).lines().map(str::parse).collect::<Result<Vec<JobId>, _>>();
            match jobs.ok().and_then(Withdrawal::of) {
                Some(withdrawal) => noted.push(withdrawal),
                None => tracing::warn!(note = %note.location, "a note of a withdrawal cannot be read"),
            }
        }
        Ok(noted)
    }

    /// Deletes the note, because the jobs are withdrawn.
    ///
    /// # Errors
    /// The storage does not answer.
    pub async fn withdrawn(&self, owner: &str, withdrawal: &Withdrawal) -> Result<(), BlobError> {
        match self.store.delete(&withdrawal.path(owner)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(BlobError::Unavailable(error)),
        }
    }
}
