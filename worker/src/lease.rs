//! The lease around a job: kept alive while it runs, given up when it is lost, settled when the work ends.
//!
//! This layer is the outermost around every job, so it sees every way in which a job can end: success, failure, panic,
//! cancel, a lost lease, shutdown.

use std::{
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use apalis::prelude::{BoxDynError, Task};
use futures::future::BoxFuture;
use remaster_shared::error::JobError;
use remaster_shared::job::{JobRecord, Status};
use remaster_shared::metrics::Metrics;
use remaster_shared::trace::{JobSpan, WHOLE};
use remaster_store::{Beat, Lease, LeaseError, Outcome, WorkQueue};
use tokio_util::sync::CancellationToken;
use tower::{Layer, Service};

use crate::announce::InFlight;
use crate::assignment::Assignment;

/// How a worker is asked to stop: no new jobs from then on, and a grace for those that run.
#[derive(Debug, Clone)]
pub struct Shutdown {
    /// Cancelled when the worker is to stop.
    pub requested: CancellationToken,
    /// How long a running job may go on before it is given back to the queue.
    pub grace: Duration,
}

impl Shutdown {
    async fn expired(&self) {
        self.requested.cancelled().await;
        tokio::time::sleep(self.grace).await;
    }
}

/// Waits between tries at a store that does not answer.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct LeaseLayer {
    pub store: Arc<dyn WorkQueue>,
    /// The store's lease. A heartbeat is sent every third of it.
    pub lease: Duration,
    pub shutdown: Shutdown,
    pub in_flight: InFlight,
    pub metrics: Arc<Metrics>,
}

impl<S> Layer<S> for LeaseLayer {
    type Service = Leased<S>;

    fn layer(&self, inner: S) -> Leased<S> {
        Leased { inner, layer: self.clone() }
    }
}

#[derive(Clone)]
pub struct Leased<S> {
    inner: S,
    layer: LeaseLayer,
}

/// Why a job was stopped before it ended by itself.
enum Stop {
    Canceled,
    Lost,
    Shutdown,
}

impl<S> Service<Task<Assignment>> for Leased<S>
where
    S: Service<Task<Assignment>, Response = Outcome>,
    S::Error: Into<BoxDynError>,
    S::Future: Send + 'static,
{
    type Response = ();
    type Error = BoxDynError;
    type Future = BoxFuture<'static, Result<(), BoxDynError>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxDynError>> {
        self.inner.poll_ready(cx).map_err(Into::into)
    }

    fn call(&mut self, task: Task<Assignment>) -> Self::Future {
        let layer = self.layer.clone();
        let lease = task.args.lease.clone();
        let counted = layer.in_flight.enter();
        if lease.attempt == 1 {
            let waited = layer.store.now().duration_since(task.args.job.created_at);
            let waited = Duration::try_from(waited).unwrap_or_default();
            layer.metrics.waited(waited.as_secs_f64());
            layer.metrics.span(|| JobSpan::ending(lease.job, "wait", waited));
        }
        let work = self.inner.call(task);
        let began = Instant::now();
        Box::pin(async move {
            // The attempt begins here, before anything is done that could harm this worker.
            if !layer.begin(&lease).await {
                return Ok(());
            }
            let ended = tokio::select! {
                done = work => Ok(done.map_err(Into::into)),
                stop = layer.keep(&lease) => Err(stop),
                () = layer.shutdown.expired() => Err(Stop::Shutdown),
            };
            // The work's future is dropped by now: whatever it ran has been told to stop.
            match ended {
                Ok(Ok(outcome)) => layer.settle(&lease, outcome, began).await,
                Ok(Err(error)) => {
                    tracing::error!(job = %lease.job, attempt = lease.attempt, %error, "the job panicked");
                    layer.settle(&lease, Outcome::Failed(JobError::internal()), began).await;
                }
                Err(Stop::Canceled) => layer.settle(&lease, Outcome::Canceled, began).await,
                Err(Stop::Lost) => {
                    layer.metrics.attempted("lost", "");
                    tracing::warn!(job = %lease.job, attempt = lease.attempt, "lease lost; job dropped");
                }
                Err(Stop::Shutdown) => layer.give_back(&lease).await,
            }
            drop(counted);
            Ok(())
        })
    }
}

/// What the metrics call the outcome, and the code of its error.
fn labels(outcome: &Outcome) -> (&'static str, &'static str) {
    match outcome {
        Outcome::Succeeded(_) => ("succeeded", ""),
        Outcome::Canceled => ("canceled", ""),
        Outcome::Failed(error) => ("failed", error.code.as_str()),
        Outcome::Deferred(_) => ("deferred", ""),
    }
}

impl LeaseLayer {
    /// The first heartbeat. False when the job is another worker's by now.
    async fn begin(&self, lease: &Lease) -> bool {
        let until = tokio::time::Instant::now() + self.lease;
        loop {
            match self.store.heartbeat(lease).await {
                Ok(_) => return true,
                Err(LeaseError::Store(error)) if tokio::time::Instant::now() < until => {
                    tracing::warn!(job = %lease.job, %error, "the attempt cannot begin yet; trying on");
                    tokio::time::sleep(FIRST_WAIT).await;
                }
                Err(error) => {
                    tracing::warn!(job = %lease.job, %error, "a claimed job is left to others");
                    return false;
                }
            }
        }
    }

    /// Heartbeats until the job has to stop.
    async fn keep(&self, lease: &Lease) -> Stop {
        let mut watch = self.store.watch(lease.job.0);
        let mut beat = tokio::time::interval(self.lease / 3);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = beat.tick() => match self.store.heartbeat(lease).await {
                    Ok(Beat::GoOn) => {}
                    Ok(Beat::Cancel) => return Stop::Canceled,
                    Err(LeaseError::Lost) => return Stop::Lost,
                    // A store that does not answer is no reason to stop. If the lease has run out meanwhile, settling fails.
                    Err(LeaseError::Store(error)) => tracing::warn!(job = %lease.job, %error, "no heartbeat"),
                },
                // A cancel is acted on at once; other changes are this worker's own progress.
                () = watch.changed() => {
                    if let Ok(Some(job)) = self.store.get(lease.job).await
                        && job.cancel_requested
                    {
                        return Stop::Canceled;
                    }
                }
            }
        }
    }

    /// Settles the job and keeps the lease meanwhile, until the store answers, so that finished work is not done again.
    async fn settle(&self, lease: &Lease, outcome: Outcome, began: Instant) {
        let (ended, code) = labels(&outcome);
        let settled = tokio::select! {
            settled = self.try_until_settled(lease, outcome) => settled,
            () = self.hold(lease) => Err(LeaseError::Lost),
        };
        // A picture that is not wanted any more is the store's garbage, or an orphan: the janitor finds it.
        match settled {
            Ok(job) => {
                self.metrics.settled(job.status, began.elapsed().as_secs_f64());
                self.trace(lease, &job, began.elapsed());
                let ended = if ended == "failed" && job.status == Status::Queued { "retried" } else { ended };
                self.metrics.attempted(ended, code);
                tracing::info!(job = %job.id, attempt = job.attempt, status = %job.status, "job settled");
            }
            Err(error) => {
                self.metrics.attempted("lost", code);
                tracing::warn!(job = %lease.job, attempt = lease.attempt, %error, "result dropped");
            }
        }
    }

    /// The span of the attempt, and of the whole job if it has ended.
    fn trace(&self, lease: &Lease, job: &JobRecord, took: Duration) {
        let error = job.error.as_ref().map(|error| error.code.as_str());
        self.metrics.span(|| {
            let span = JobSpan::ending(job.id, "attempt", took).with("remaster.attempt", lease.attempt);
            span.with("service.instance.id", &lease.worker).with("remaster.status", job.status).failed(error)
        });
        if job.status.is_terminal() {
            let lived = self.store.now().duration_since(job.created_at);
            self.metrics.span(|| {
                let span = JobSpan::ending(job.id, WHOLE, Duration::try_from(lived).unwrap_or_default());
                let span = span.with("remaster.model", &job.params.model).with("remaster.status", job.status);
                span.with("remaster.input.width", job.input.width)
                    .with("remaster.input.height", job.input.height)
                    .failed(error)
            });
        }
    }

    async fn try_until_settled(&self, lease: &Lease, outcome: Outcome) -> Result<JobRecord, LeaseError> {
        let mut wait = FIRST_WAIT;
        loop {
            match self.store.finish(lease, outcome.clone()).await {
                Err(LeaseError::Store(error)) => {
                    tracing::warn!(job = %lease.job, %error, "the job is not settled yet; trying on");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
                settled => return settled,
            }
        }
    }

    /// Heartbeats, whatever the caller asks for, until the lease is lost.
    async fn hold(&self, lease: &Lease) {
        loop {
            tokio::time::sleep(self.lease / 3).await;
            if let Err(LeaseError::Lost) = self.store.heartbeat(lease).await {
                return;
            }
        }
    }

    async fn give_back(&self, lease: &Lease) {
        match self.store.release(lease).await {
            Ok(()) => {
                self.metrics.attempted("given_back", "");
                tracing::info!(job = %lease.job, "job given back to the queue");
            }
            Err(error) => {
                tracing::warn!(job = %lease.job, %error, "a job could not be given back; its lease will run out")
            }
        }
    }
}
