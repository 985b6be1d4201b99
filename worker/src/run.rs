//! The worker's life: an apalis worker over the store, the housekeeping beside it, until it is asked to stop.

use std::{io, sync::Arc, time::Duration};

use apalis::layers::WorkerBuilderExt;
use apalis::prelude::{Monitor, WorkerBuilder};
use remaster_shared::blob::Blobs;
use remaster_shared::store::SharedStore;

use crate::enhance::Enhancer;
use crate::janitor;
use crate::job::{RunJob, Workshop};
use crate::lease::LeaseLayer;
pub use crate::lease::Shutdown;
use crate::queue::Queue;

/// After the grace, how long settling and giving back may take.
const WIND_UP: Duration = Duration::from_secs(1);

pub struct WorkerSettings {
    /// This worker's name in the store.
    pub name: String,
    /// Jobs at once: while one is decoded or encoded, another has the engine.
    pub jobs: usize,
    /// The store's lease.
    pub lease: Duration,
    pub shutdown: Shutdown,
}

/// Works until shutdown is requested; running jobs then finish within the grace or are given back.
pub async fn run(
    store: SharedStore,
    blobs: Blobs,
    enhancer: Enhancer,
    settings: WorkerSettings,
) -> Result<(), apalis::prelude::MonitorError> {
    let WorkerSettings { name, jobs, lease, shutdown } = settings;
    let layer = LeaseLayer { store: store.clone(), lease, shutdown: shutdown.clone() };
    let workshop = Arc::new(Workshop { store: store.clone(), blobs: blobs.clone(), enhancer });
    let housekeeping = tokio::spawn(janitor::run(store.clone(), blobs, shutdown.requested.clone()));

    let requested = shutdown.requested.clone();
    let signal = async move {
        requested.cancelled().await;
        Ok::<(), io::Error>(())
    };
    let built = shutdown.clone();
    let worked = Monitor::new()
        .shutdown_timeout(shutdown.grace + WIND_UP)
        .register(move |_| {
            let queue = Queue::new(store.clone(), name.clone(), layer.clone(), &built);
            WorkerBuilder::new(name.as_str())
                .backend(queue)
                .concurrency(jobs)
                .catch_panic()
                .build(RunJob(Arc::clone(&workshop)))
        })
        .run_with_signal(signal)
        .await;
    shutdown.requested.cancel();
    let _ = housekeeping.await;
    worked
}
