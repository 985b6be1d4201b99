//! One job: fetch its input, make the picture, store it. Settling is the lease's part.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use apalis::prelude::Task;
use futures::future::BoxFuture;
use remaster_blobs::Blobs;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::JobResult;
use remaster_store::{Lease, Outcome, WorkQueue};
use tokio::sync::watch;
use tower::Service;

use crate::enhance::Enhancer;
use crate::queue::Assignment;

/// Progress is written no more often than this.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// What every job needs.
pub struct Workshop {
    pub store: Arc<dyn WorkQueue>,
    pub blobs: Blobs,
    pub enhancer: Enhancer,
}

/// The innermost service: an [`Assignment`] to its [`Outcome`].
#[derive(Clone)]
pub struct RunJob(pub Arc<Workshop>);

impl Service<Task<Assignment>> for RunJob {
    type Response = Outcome;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Outcome, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, task: Task<Assignment>) -> Self::Future {
        let workshop = Arc::clone(&self.0);
        Box::pin(async move {
            let assignment = task.args;
            Ok(match workshop.run(&assignment).await {
                Ok(result) => Outcome::Succeeded(result),
                Err(error) => Outcome::Failed(error),
            })
        })
    }
}

impl Workshop {
    async fn run(&self, Assignment { job, lease }: &Assignment) -> Result<JobResult, JobError> {
        let began = std::time::Instant::now();
        tracing::info!(job = %job.id, attempt = lease.attempt, model = %job.params.model, "job started");
        let input = self.blobs.get(BlobKey::Input(job.id)).await.map_err(|error| {
            tracing::error!(job = %job.id, %error, "the input cannot be read");
            JobError::new(ErrorCode::StorageUnavailable, "The input could not be read from the object storage.")
        })?;
        let (progress, reports) = watch::channel(0.0);
        let report = |fraction| {
            progress.send_replace(fraction);
        };
        let made = tokio::select! {
            made = self.enhancer.enhance(input, &job.input, &job.params, &report) => made,
            () = self.report(lease, reports) => unreachable!("reports go on for as long as the work"),
        };
        let made = made.map_err(|error| {
            tracing::warn!(job = %job.id, attempt = lease.attempt, %error, "the job failed");
            error.public()
        })?;
        self.blobs.put_file(BlobKey::Output(job.id, lease.attempt), made.png.file.path()).await.map_err(|error| {
            tracing::error!(job = %job.id, %error, "the result cannot be stored");
            JobError::new(ErrorCode::StorageUnavailable, "The result could not be written to the object storage.")
        })?;
        tracing::info!(job = %job.id, took = ?began.elapsed(), width = made.width, height = made.height, "picture made");
        Ok(JobResult {
            width: made.width,
            height: made.height,
            bytes: made.png.bytes,
            sha256: made.png.sha256,
            faces: made.faces,
        })
    }

    /// Writes progress as it comes, at a bounded rate. Never returns: a report that fails is not worth a job.
    async fn report(&self, lease: &Lease, mut reports: watch::Receiver<f64>) {
        while reports.changed().await.is_ok() {
            let fraction = *reports.borrow_and_update();
            if let Err(error) = self.store.progress(lease, fraction).await {
                tracing::debug!(job = %lease.job, %error, "progress not recorded");
            }
            tokio::time::sleep(REPORT_EVERY).await;
        }
        std::future::pending::<()>().await;
    }
}
