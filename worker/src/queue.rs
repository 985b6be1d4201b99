//! The store's queue as an apalis backend: one claim at a time, asked for only when there is room to run it.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use apalis::prelude::{Backend, Task, TaskBuilder, WorkerContext};
use apalis_core::backend::{BackendConfig, finalize::Ephemeral};
use apalis_core::task::task_id::RandomId;
use remaster_shared::job::JobRecord;
use remaster_store::{Claim, Lease, WorkQueue};
use tokio_util::sync::CancellationToken;

use crate::lease::{LeaseLayer, Shutdown};

/// Longest wait between claims: covers a wake-up that was lost.
const FALLBACK: Duration = Duration::from_secs(5);
/// Longest wait after the store failed.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

/// A claimed job and the right to it.
#[derive(Debug, Clone)]
pub struct Assignment {
    pub job: Box<JobRecord>,
    pub lease: Lease,
}

type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Never yields an error: apalis would end the worker for it.
pub struct Queue {
    store: Arc<dyn WorkQueue>,
    worker: String,
    layer: LeaseLayer,
    stop: CancellationToken,
    claiming: Pending<Option<Assignment>>,
    releasing: Pending<()>,
}

impl Queue {
    pub fn new(store: Arc<dyn WorkQueue>, worker: String, layer: LeaseLayer, shutdown: &Shutdown) -> Self {
        Self { store, worker, layer, stop: shutdown.requested.clone(), claiming: None, releasing: None }
    }
}

impl Backend for Queue {
    type Task = Task<Assignment>;
    type Error = Infallible;

    fn poll_ready(&mut self, _cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        _worker: &WorkerContext,
    ) -> Poll<Option<Result<Self::Task, Infallible>>> {
        let (store, worker, stop) = (&self.store, &self.worker, &self.stop);
        let claiming =
            self.claiming.get_or_insert_with(|| Box::pin(claim(store.clone(), worker.clone(), stop.clone())));
        let claimed = ready!(claiming.as_mut().poll(cx));
        self.claiming = None;
        Poll::Ready(claimed.map(|assignment| Ok(TaskBuilder::new(assignment).build())))
    }

    /// A claim under way is seen through; the job it brings goes back, unharmed.
    fn poll_close(&mut self, cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.stop.cancel();
        if let Some(claiming) = &mut self.claiming {
            let claimed = ready!(claiming.as_mut().poll(cx));
            self.claiming = None;
            if let Some(Assignment { lease, .. }) = claimed {
                let store = self.store.clone();
                self.releasing = Some(Box::pin(async move {
                    if let Err(error) = store.release(&lease).await {
                        tracing::warn!(job = %lease.job, %error, "a job could not be given back; its lease will run out");
                    }
                }));
            }
        }
        if let Some(releasing) = &mut self.releasing {
            ready!(releasing.as_mut().poll(cx));
            self.releasing = None;
        }
        Poll::Ready(Ok(()))
    }
}

impl BackendConfig for Queue {
    type Args = Assignment;
    type Id = RandomId;
    type Kind = Ephemeral;
    type Config = ();
    type Layer = LeaseLayer;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _worker: &mut WorkerContext) -> LeaseLayer {
        self.layer.clone()
    }
}

/// The next job, however long it takes to come; `None` once `stop` is asked for.
async fn claim(store: Arc<dyn WorkQueue>, worker: String, stop: CancellationToken) -> Option<Assignment> {
    let mut failures = 0_u32;
    loop {
        if stop.is_cancelled() {
            return None;
        }
        let wait = match store.claim(&worker).await {
            Ok(Claim::Job(job, lease)) => return Some(Assignment { job, lease }),
            Ok(Claim::Nothing { next }) => {
                failures = 0;
                next.unwrap_or(FALLBACK).min(FALLBACK)
            }
            Err(error) => {
                if failures == 0 {
                    tracing::error!(%error, "no jobs can be claimed; trying on");
                }
                failures += 1;
                let backoff = Duration::from_millis(100 << failures.min(10)).min(MAX_BACKOFF);
                tokio::select! {
                    () = tokio::time::sleep(backoff) => continue,
                    () = stop.cancelled() => return None,
                }
            }
        };
        tokio::select! {
            () = store.wait_for_work(wait) => {}
            () = stop.cancelled() => {}
        }
    }
}
