//! Pictures that are in the object storage before the job that they belong to exists.

use std::path::Path;
use std::sync::Arc;

use remaster_blobs::BlobError;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::job::JobId;

use crate::state::{Api, Shared};

/// The stored pictures of a submit that has not reached the store yet. Unless [`StoredInputs::keep`] takes them over, they
/// are deleted when this is dropped: the request was refused, or its caller went away.
pub struct StoredInputs {
    api: Shared,
    jobs: Vec<JobId>,
}

impl StoredInputs {
    /// No pictures yet.
    pub fn new(api: &Shared) -> Self {
        Self { api: Arc::clone(api), jobs: Vec::new() }
    }

    /// How many pictures are stored.
    pub fn count(&self) -> usize {
        self.jobs.len()
    }

    /// Stores the picture in `file` as the input of `job`.
    ///
    /// # Errors
    /// The object storage does not answer. What it may have stored is deleted with the rest.
    pub async fn put(&mut self, job: JobId, file: &Path) -> Result<(), BlobError> {
        self.jobs.push(job);
        self.api.blobs.put_file(BlobKey::Input(job), file).await
    }

    /// Deletes the picture of `job`, which is not going to be submitted.
    pub async fn delete(&mut self, job: JobId) {
        self.jobs.retain(|stored| *stored != job);
        delete_inputs(&self.api, &[job]).await;
    }

    /// Hands the pictures over to the caller, who deletes them if the submit fails.
    pub fn keep(mut self) -> Vec<JobId> {
        std::mem::take(&mut self.jobs)
    }
}

impl Drop for StoredInputs {
    fn drop(&mut self) {
        let (api, jobs) = (Arc::clone(&self.api), std::mem::take(&mut self.jobs));
        if !jobs.is_empty() {
            tokio::spawn(async move { delete_inputs(&api, &jobs).await });
        }
    }
}

/// Deletes the pictures of jobs that do not exist. One that cannot be deleted is left for the sweep of orphans.
pub async fn delete_inputs(api: &Api, jobs: &[JobId]) {
    for job in jobs {
        let key = BlobKey::Input(*job);
        if let Err(error) = api.blobs.delete(key).await {
            tracing::warn!(%key, %error, "a refused upload could not be deleted and is left for the sweep of orphans");
        }
    }
}
