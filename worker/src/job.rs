//! One job: fetch its input, make the picture, store it. Settling is the lease's part.

use std::{
    convert::Infallible,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis::prelude::Task;
use bytes::Bytes;
use futures::future::BoxFuture;
use remaster_blobs::{BlobError, Blobs};
use remaster_shared::blob_key::{BlobKey, OutputName};
use remaster_shared::catalogue::Catalogue;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{EnhanceParams, JobId, JobRecord, JobResult};
use remaster_shared::recipe::Recipe;
use remaster_shared::trace::working_on;
use remaster_store::{Lease, Outcome, WorkQueue};
use tokio::sync::watch;
use tower::Service;

use crate::assignment::Assignment;
use crate::deadline::Deadline;
use crate::enhance::{Blame, EnhanceError, Enhanced, Enhancer};
use crate::gate::{Gate, Part, Probe};

/// Progress is written no more often than this.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// How long a job waits in the queue after a fault of this worker. After that any worker may take it.
const DEFER: Duration = Duration::from_secs(5);
/// The waits after which a storage is asked again that said that it has no such input. One that goes down may say so of objects that it has.
const ASK_AGAIN: [Duration; 3] = [Duration::from_millis(500), Duration::from_secs(1), Duration::from_secs(2)];
/// Waits between tries to store a result.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long a result is held that the storage does not take. After that the job is given to another worker.
const STORE_FOR: Duration = Duration::from_secs(600);

/// Why an attempt made no result.
enum Failure {
    /// The picture's fault, or the attempt's.
    Job(JobError),
    /// A fault of this worker or of its storage. Unless a model was only missing, the gate has already been closed.
    Worker,
}

/// What this attempt's picture is named.
pub fn output_of(job: &JobRecord, lease: &Lease) -> OutputName {
    OutputName::Fence(lease.fence, job.params.format)
}

/// What every job needs.
pub struct Workshop {
    pub store: Arc<dyn WorkQueue>,
    pub blobs: Blobs,
    pub enhancer: Enhancer,
    /// How long a picture may take.
    pub deadline: Deadline,
    /// Closed by faults of this worker.
    pub gate: Gate,
    /// Tries whether a part of this worker works.
    pub probe: Arc<dyn Probe>,
    /// The models of this machine, where results of earlier jobs are reused.
    pub reuses: Option<Arc<dyn Catalogue>>,
}

/// What an attempt has made, or found.
enum Obtained {
    /// A picture that is still to be stored, and the recipe by which it was made if it may be reused.
    Made(Enhanced, Option<Recipe>),
    /// A result of an earlier job, which is stored already.
    Found(JobResult),
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
            let done = working_on(assignment.job.id, workshop.run(&assignment)).await;
            // Before there is room for the next job, whose claim is to know of it.
            drop(assignment.share);
            Ok(match done {
                Ok(result) => Outcome::Succeeded(result),
                Err(Failure::Job(error)) => Outcome::Failed(error),
                Err(Failure::Worker) => Outcome::Deferred(DEFER),
            })
        })
    }
}

impl Workshop {
    async fn run(&self, Assignment { job, lease, .. }: &Assignment) -> Result<JobResult, Failure> {
        let began = Instant::now();
        tracing::info!(job = %job.id, attempt = lease.attempt, model = %job.params.model, "job started");
        let (progress, reports) = watch::channel(0.0);
        let seen = reports.clone();
        let obtained = tokio::select! {
            obtained = self.obtain(job, lease, progress) => obtained?,
            () = self.report(lease, reports) => unreachable!("reports go on for as long as the work"),
            error = self.deadline.passed(seen) => {
                tracing::warn!(job = %job.id, attempt = lease.attempt, %error, "the job is stopped");
                return Err(Failure::Job(error));
            }
        };
        let (made, recipe) = match obtained {
            Obtained::Made(made, recipe) => (made, recipe),
            Obtained::Found(result) => return Ok(result),
        };
        let is_made = Instant::now();
        self.store(BlobKey::Output(job.id, output_of(job, lease)), &made).await?;
        self.enhancer.metrics.stage("store", is_made.elapsed());
        if let Some(recipe) = recipe {
            self.note(job, lease, recipe).await;
        }
        tracing::info!(job = %job.id, took = ?began.elapsed(), width = made.width, height = made.height, "picture made");
        let precision =
            if job.params.background { self.enhancer.engine.precision(&job.params.network()) } else { None };
        Ok(JobResult {
            width: made.width,
            height: made.height,
            bytes: made.encoded.bytes,
            sha256: made.encoded.sha256,
            faces: made.faces,
            precision: precision.map(str::to_owned),
        })
    }

    async fn obtain(&self, job: &JobRecord, lease: &Lease, progress: watch::Sender<f64>) -> Result<Obtained, Failure> {
        let began = Instant::now();
        let input = self.fetch(job.id).await?;
        self.enhancer.metrics.stage("fetch", began.elapsed());
        let recipe = self.recipe(&input, job).await;
        if let Some(recipe) = recipe
            && let Some(result) = self.reuse(job, lease, recipe).await
        {
            return Ok(Obtained::Found(result));
        }
        let report = |fraction| {
            progress.send_replace(fraction);
        };
        match self.enhancer.enhance(input, &job.input, &job.params, &report).await {
            Ok(made) => Ok(Obtained::Made(made, recipe)),
            Err(error) => {
                tracing::warn!(job = %job.id, attempt = lease.attempt, %error, "the job failed");
                Err(self.blame(error, &job.params).await)
            }
        }
    }

    async fn fetch(&self, job: JobId) -> Result<Bytes, Failure> {
        let mut input = self.blobs.get(BlobKey::Input(job)).await;
        for wait in ASK_AGAIN {
            let Err(BlobError::NotFound(_)) = input else { break };
            tokio::time::sleep(wait).await;
            input = self.blobs.get(BlobKey::Input(job)).await;
        }
        input.map_err(|error| {
            tracing::error!(%job, %error, "the input cannot be read");
            match error {
                // The storage answers, and does not have it: no other worker would find it either.
                BlobError::NotFound(_) => Failure::Job(JobError::new(
                    ErrorCode::StorageUnavailable,
                    "The input could not be read from the object storage.",
                )),
                error => self.cannot(Part::Storage, &error),
            }
        })
    }

    /// Stores the result, so that a picture that is made is not made twice: tries again for up to 10 minutes while the lease
    /// lives; then the job goes back to the queue.
    async fn store(&self, key: BlobKey, made: &Enhanced) -> Result<(), Failure> {
        let (mut wait, began) = (FIRST_WAIT, Instant::now());
        loop {
            match self.blobs.put_file(key, made.encoded.file.path()).await {
                Ok(()) => return Ok(()),
                Err(BlobError::Unavailable(error)) if began.elapsed() < STORE_FOR => {
                    self.gate.close(Part::Storage, format!("results cannot be stored: {error}"));
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                Err(BlobError::Io(error)) => return Err(self.cannot(Part::Spool, &error)),
                Err(error) => return Err(self.cannot(Part::Storage, &error)),
            }
        }
    }

    /// Tells a fault of the picture or the attempt from one of this worker.
    async fn blame(&self, error: EnhanceError, params: &EnhanceParams) -> Failure {
        match error.blame() {
            Blame::Attempt => Failure::Job(error.public()),
            Blame::Worker(part) => self.cannot(part, &error),
            Blame::Missing => Failure::Worker,
            // Without the upscaler there is nothing to try the device with.
            Blame::Device if !params.background => Failure::Job(error.public()),
            Blame::Device => {
                let part = Part::Model(params.model.clone());
                match self.probe.probe(&part).await {
                    Ok(()) => Failure::Job(error.public()),
                    Err(_) => self.cannot(part, &error),
                }
            }
        }
    }

    fn cannot(&self, part: Part, error: &dyn std::error::Error) -> Failure {
        self.gate.close(part, error.to_string());
        Failure::Worker
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
