//! The worker's life: an apalis worker over the store, the housekeeping beside it, until it is asked to stop.

use std::{io, sync::Arc, time::Duration};

use apalis::layers::WorkerBuilderExt;
use apalis::prelude::{Monitor, MonitorError, WorkerBuilder};
use remaster_blobs::Blobs;
use remaster_shared::catalogue::Catalogue;
use remaster_shared::metrics::Metrics;
use remaster_store::Store;

use crate::announce::{Announcer, InFlight};
use crate::deadline::Deadline;
use crate::enhance::Enhancer;
use crate::gate::{Gate, Probe};
use crate::janitor;
use crate::job::{RunJob, Workshop};
use crate::lease::LeaseLayer;
pub use crate::lease::Shutdown;
use crate::probes::Probes;
use crate::queue::{Claims, Queue};
use crate::shares::Shares;
use crate::space::Space;

/// After the grace, how long settling and giving back may take.
const WIND_UP: Duration = Duration::from_secs(1);

/// What one worker is started with.
pub struct WorkerSettings {
    /// This worker's name in the store.
    pub name: String,
    /// Jobs at once: while one is decoded or encoded, another has the engine.
    pub jobs: usize,
    /// The store's lease.
    pub lease: Duration,
    /// How long an attempt at a picture may take.
    pub job_timeout: Duration,
    /// Whether the result of an earlier job of the client is taken where it is the same.
    pub reuse_results: bool,
    /// The space on the disk of the spool folder with less than which no jobs are taken, in bytes.
    pub reserve: u64,
    /// How the worker is asked to stop.
    pub shutdown: Shutdown,
    /// Says why the worker takes no jobs, while it takes none.
    pub gate: Gate,
    /// The setting of the device, for the announcement until the engine tells what it runs on.
    pub device: String,
    /// The models of this machine.
    pub catalogue: Arc<dyn Catalogue>,
    /// What this process counts.
    pub metrics: Arc<Metrics>,
}

/// Announces the worker and returns its work, which goes on until shutdown is requested; running jobs then finish within the
/// grace or are given back.
pub async fn start(
    store: Arc<dyn Store>,
    blobs: Blobs,
    enhancer: Enhancer,
    settings: WorkerSettings,
) -> impl Future<Output = Result<(), MonitorError>> {
    let WorkerSettings {
        name,
        jobs,
        lease,
        job_timeout,
        reuse_results,
        reserve,
        shutdown,
        gate,
        device,
        catalogue,
        metrics,
    } = settings;
    let space = Space { folder: enhancer.spool.clone(), reserve };
    let reuses = reuse_results.then(|| catalogue.clone());
    let in_flight = InFlight::default();
    let claims = Claims {
        store: store.clone(),
        worker: name.clone(),
        catalogue: catalogue.clone(),
        shares: Shares::new(jobs),
        gate: gate.clone(),
        space: space.clone(),
        lease,
        stop: shutdown.requested.clone(),
    };
    let layer =
        LeaseLayer { store: store.clone(), lease, shutdown: shutdown.clone(), in_flight: in_flight.clone(), metrics };
    let announcer = Announcer {
        registry: store.clone(),
        catalogue,
        in_flight,
        gate: gate.clone(),
        name: name.clone(),
        engine: enhancer.engine.clone(),
        device,
        jobs: jobs as u32,
    };
    announcer.first().await;
    async move {
        let stop = shutdown.requested.clone();
        let announcing = tokio::spawn(async move { announcer.run(stop).await });
        let probe: Arc<dyn Probe> = Arc::new(Probes { blobs: blobs.clone(), enhancer: enhancer.clone(), space });
        let probing = tokio::spawn(gate.clone().run(probe.clone(), shutdown.requested.clone()));
        let workshop = Arc::new(Workshop {
            store: store.clone(),
            blobs: blobs.clone(),
            enhancer,
            deadline: Deadline { limit: job_timeout, sharing: jobs },
            gate,
            probe,
            reuses,
        });
        let housekeeping = tokio::spawn(janitor::run(store.clone(), blobs, lease, shutdown.requested.clone()));

        let requested = shutdown.requested.clone();
        let signal = async move {
            requested.cancelled().await;
            Ok::<(), io::Error>(())
        };
        let worked = Monitor::new()
            .shutdown_timeout(shutdown.grace + WIND_UP)
            .register(move |_| {
                let queue = Queue::new(claims.clone(), layer.clone());
                WorkerBuilder::new(name.as_str())
                    .backend(queue)
                    .concurrency(jobs)
                    .catch_panic()
                    .build(RunJob(Arc::clone(&workshop)))
            })
            .run_with_signal(signal)
            .await;
        shutdown.requested.cancel();
        let _ = tokio::join!(housekeeping, announcing, probing);
        worked
    }
}
