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
use remaster_shared::catalogue::{Catalogue, Kind, denoisers, restores_faces};
use remaster_shared::fence::Fence;
use remaster_shared::job::{ModelId, Skill};
use remaster_store::{Claim, ClaimRequest, WorkQueue};
use tokio_util::sync::CancellationToken;

use crate::assignment::Assignment;
use crate::gate::{Gate, Part};
use crate::lease::LeaseLayer;
use crate::shares::Shares;
use crate::space::Space;

/// Longest wait between claims: covers a wake-up that was lost.
const FALLBACK: Duration = Duration::from_secs(7);
/// Longest wait after the store failed.
const MAX_BACKOFF: Duration = Duration::from_secs(5);

type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

/// Claims jobs. It never yields an error, because apalis ends the worker at the first error of its backend.
pub struct Queue {
    claims: Claims,
    layer: LeaseLayer,
    claiming: Pending<Option<Assignment>>,
    releasing: Pending<()>,
}

impl Queue {
    /// The queue of one worker, whose jobs run inside `layer`.
    pub fn new(claims: Claims, layer: LeaseLayer) -> Self {
        Self { claims, layer, claiming: None, releasing: None }
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
        let claims = &self.claims;
        let claiming = self.claiming.get_or_insert_with(|| Box::pin(claims.clone().next()));
        let claimed = ready!(claiming.as_mut().poll(cx));
        self.claiming = None;
        Poll::Ready(claimed.map(|assignment| Ok(TaskBuilder::new(assignment).build())))
    }

    /// Waits for a claim in progress, and releases the job that it returns without counting the attempt.
    fn poll_close(&mut self, cx: &mut Context<'_>, _worker: &WorkerContext) -> Poll<Result<(), Infallible>> {
        self.claims.stop.cancel();
        if let Some(claiming) = &mut self.claiming {
            let claimed = ready!(claiming.as_mut().poll(cx));
            self.claiming = None;
            if let Some(Assignment { lease, .. }) = claimed {
                let store = self.claims.store.clone();
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

/// How one worker claims.
#[derive(Clone)]
pub struct Claims {
    /// Where jobs wait.
    pub store: Arc<dyn WorkQueue>,
    /// The worker's name.
    pub worker: String,
    /// The networks of this machine: jobs that need others are left to other workers.
    pub catalogue: Arc<dyn Catalogue>,
    /// Whose jobs this worker has.
    pub shares: Shares,
    /// Closed while this worker cannot make pictures.
    pub gate: Gate,
    /// Without enough of it, the gate is closed.
    pub space: Space,
    /// The store's lease. An idle worker claims at least once in every third of it, so that the store knows that it is within
    /// reach. While the gate is closed, its janitor does that alone.
    pub lease: Duration,
    /// No more jobs are claimed once this is cancelled.
    pub stop: CancellationToken,
}

impl Claims {
    /// The next job, however long it takes to come; `None` once `stop` is asked for.
    async fn next(self) -> Option<Assignment> {
        let mut failures = 0_u32;
        let mut request = self.request();
        loop {
            tokio::select! {
                () = self.gate.open() => {}
                () = self.stop.cancelled() => {}
            }
            if self.stop.is_cancelled() {
                return None;
            }
            if let Err(reason) = self.space.check() {
                self.gate.close(Part::Spool, reason);
                continue;
            }
            let wait = match self.store.claim(&request).await {
                Ok(Claim::Job(job, lease)) => {
                    let share = Arc::new(self.shares.take(job.client));
                    return Some(Assignment { job, lease, share });
                }
                Ok(Claim::HeldBack) => {
                    request = self.request();
                    tokio::select! {
                        () = tokio::time::sleep(FALLBACK.min(self.lease / 3)) => continue,
                        () = self.stop.cancelled() => return None,
                    }
                }
                Ok(Claim::Nothing { next }) => {
                    failures = 0;
                    // The request was answered, so the next claim needs a new fence.
                    request = self.request();
                    next.unwrap_or(FALLBACK).min(FALLBACK).min(self.lease / 3)
                }
                // The same request again: it may have been carried out, and then gives the same job.
                Err(error) => {
                    if failures == 0 {
                        tracing::error!(%error, "no jobs can be claimed; trying on");
                    }
                    failures += 1;
                    let backoff = Duration::from_millis(100 << failures.min(10)).min(MAX_BACKOFF);
                    tokio::select! {
                        () = tokio::time::sleep(backoff) => continue,
                        () = self.stop.cancelled() => return None,
                    }
                }
            };
            tokio::select! {
                () = self.store.wait_for_work(&request.skills, wait) => {}
                () = self.stop.cancelled() => {}
            }
        }
    }

    fn request(&self) -> ClaimRequest {
        ClaimRequest {
            worker: self.worker.clone(),
            fence: Fence::random(),
            skills: self.skills(),
            busy: self.shares.used_up(),
        }
    }

    fn skills(&self) -> Vec<Skill> {
        let installed: Vec<_> = self.catalogue.models().into_iter().filter(|model| model.installed).collect();
        let upscalers = installed.iter().filter(|model| model.kind == Kind::Upscaler);
        let upscalers: Vec<_> = upscalers.filter_map(|model| ModelId::parse(&model.id).ok()).collect();
        Skill::of_worker(&upscalers, &denoisers(&installed), restores_faces(&installed))
    }
}
