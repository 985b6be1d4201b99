//! Canceling the job of a synchronous call whose caller closed the connection.

use std::sync::Arc;

use remaster_shared::job::JobId;

use crate::state::Shared;

/// Cancels a job when it is dropped armed. The server drops a handler, and this with it, when the connection is closed.
pub struct CancelOnDrop {
    api: Shared,
    job: Option<JobId>,
}

impl CancelOnDrop {
    /// Cancels `job` unless [`CancelOnDrop::disarm`] is called. The job need not exist yet.
    pub fn armed(api: &Shared, job: JobId) -> Self {
        Self { api: Arc::clone(api), job: Some(job) }
    }

    /// Lets the job go on.
    pub fn disarm(mut self) {
        self.job = None;
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            let api = Arc::clone(&self.api);
            tokio::spawn(async move {
                if api.store.cancel(job).await.is_ok() {
                    tracing::info!(%job, "the job was canceled because its caller closed the connection");
                }
            });
        }
    }
}
