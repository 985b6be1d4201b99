//! The worker tells the store who it is, what it can run and how busy it is.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use remaster_engine::SharedEngine;
use remaster_shared::catalogue::Catalogue;
use remaster_shared::fleet::{ANNOUNCE_EVERY, Announcement};
use remaster_store::WorkerRegistry;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;

/// A change is told no later than this.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Jobs being worked on.
#[derive(Clone, Default)]
pub struct InFlight(Arc<AtomicU32>);

impl InFlight {
    /// Counts one more until the guard is dropped.
    pub fn enter(&self) -> impl Drop + use<> {
        struct One(Arc<AtomicU32>);
        impl Drop for One {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::Relaxed);
            }
        }
        self.0.fetch_add(1, Ordering::Relaxed);
        One(Arc::clone(&self.0))
    }

    fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

pub struct Announcer {
    pub registry: Arc<dyn WorkerRegistry>,
    /// What this machine has.
    pub catalogue: Arc<dyn Catalogue>,
    pub in_flight: InFlight,
    pub gate: Gate,
    pub name: String,
    pub engine: SharedEngine,
    /// The setting, until the engine tells what it runs on.
    pub device: String,
    pub jobs: u32,
}

impl Announcer {
    /// Announces each change within 2 seconds, and the unchanged state every 10 seconds. When `stop` is cancelled, announces that the
    /// worker is stopping.
    pub async fn run(&self, stop: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_EVERY);
        let mut last = None;
        loop {
            tokio::select! {
                _ = look.tick() => {}
                () = stop.cancelled() => break,
            }
            let now = self.announcement(false);
            let told = last.as_ref();
            let told = told.is_some_and(|(at, said): &(Instant, _)| *said == now && at.elapsed() < ANNOUNCE_EVERY);
            if told {
                continue;
            }
            if self.tell(&now).await {
                last = Some((Instant::now(), now));
            }
        }
        self.tell(&self.announcement(true)).await;
    }

    /// Announces the worker for the first time.
    pub async fn first(&self) {
        self.tell(&self.announcement(false)).await;
    }

    async fn tell(&self, now: &Announcement) -> bool {
        let told = self.registry.announce(now).await;
        if let Err(error) = &told {
            tracing::debug!(%error, "not announced yet");
        }
        told.is_ok()
    }

    fn announcement(&self, stopping: bool) -> Announcement {
        let models = self.catalogue.models().into_iter().filter(|model| model.installed);
        Announcement {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            device: self.engine.running_on().map_or_else(|| self.device.clone(), |running| running.device),
            models: models.collect(),
            jobs: self.jobs,
            in_flight: self.in_flight.count(),
            stopping,
            paused: self.gate.reason(),
        }
    }
}
