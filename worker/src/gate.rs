//! Whether this worker takes jobs. After a fault of its own it takes none until a probe shows that the fault is over.
//!
//! Without this, one worker whose device is broken or whose disk is full would claim and fail jobs faster than healthy workers
//! can finish them.

use std::sync::Arc;
use std::time::Duration;

use remaster_shared::job::ModelId;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The wait before the first probe; it doubles with each that fails.
const FIRST_PROBE: Duration = Duration::from_secs(1);
/// The longest wait between probes.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What failed, and so what has to be tried before jobs are taken again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The blob storage does not take or give pictures.
    Storage,
    /// The folder in which results are kept until they are stored cannot be written.
    Spool,
    /// This model cannot be loaded, or does not run on this worker's device.
    Model(ModelId),
}

/// Why no jobs are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Closed {
    part: Part,
    reason: String,
}

/// Whether this worker may claim jobs. The queue waits for it before each claim.
#[derive(Clone)]
pub struct Gate(Arc<watch::Sender<Option<Closed>>>);

impl Default for Gate {
    fn default() -> Self {
        Self(Arc::new(watch::Sender::new(None)))
    }
}

/// Tries whether a part works again.
#[async_trait::async_trait]
pub trait Probe: Send + Sync + 'static {
    /// # Errors
    /// The part still fails; the text says how.
    async fn probe(&self, part: &Part) -> Result<(), String>;
}

impl Gate {
    /// This worker cannot make pictures now. Jobs that run go on.
    pub fn close(&self, part: Part, reason: impl Into<String>) {
        let reason = reason.into();
        self.0.send_if_modified(|closed| {
            if closed.is_none() {
                tracing::error!(%reason, ?part, "this worker takes no more jobs until that is over");
                *closed = Some(Closed { part, reason });
                return true;
            }
            false
        });
    }

    /// Why no jobs are taken, or `None` when they are.
    pub fn reason(&self) -> Option<String> {
        self.0.borrow().as_ref().map(|closed| closed.reason.clone())
    }

    /// Returns once jobs are taken.
    pub async fn open(&self) {
        // The sender lives as long as this gate, so waiting ends by its opening only.
        let _ = self.0.subscribe().wait_for(Option::is_none).await;
    }

    /// Probes whatever closed the gate, and opens it again. Runs until `stop`.
    pub async fn run(self, probe: Arc<dyn Probe>, stop: CancellationToken) {
        let mut changes = self.0.subscribe();
        loop {
            let closed = tokio::select! {
                closed = changes.wait_for(Option::is_some) => closed.ok().and_then(|closed| closed.clone()),
                () = stop.cancelled() => return,
            };
            let Some(closed) = closed else { return };
            tokio::select! {
                () = passes(&*probe, &closed) => {}
                () = stop.cancelled() => return,
            }
            tracing::info!(part = ?closed.part, "this worker takes jobs again");
            self.0.send_replace(None);
        }
    }
}

async fn passes(probe: &dyn Probe, closed: &Closed) {
    let mut wait = FIRST_PROBE;
    loop {
        tokio::time::sleep(wait).await;
        match probe.probe(&closed.part).await {
            Ok(()) => return,
            Err(error) => tracing::warn!(part = ?closed.part, error, "a probe failed; this worker still takes no jobs"),
        }
        wait = (wait * 2).min(LONGEST_WAIT);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Fails this many times.
    struct Fails(AtomicU32);

    #[async_trait::async_trait]
    impl Probe for Fails {
        async fn probe(&self, _part: &Part) -> Result<(), String> {
            let left = self.0.load(Ordering::SeqCst);
            self.0.store(left.saturating_sub(1), Ordering::SeqCst);
            if left == 0 { Ok(()) } else { Err("still down".into()) }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opens_again_once_a_probe_passes() {
        let (gate, stop) = (Gate::default(), CancellationToken::new());
        tokio::spawn(gate.clone().run(Arc::new(Fails(AtomicU32::new(3))), stop.clone()));
        gate.open().await;
        for _ in 0..2 {
            gate.close(Part::Storage, "the storage answers 500");
            gate.close(Part::Spool, "a later fault changes nothing");
            assert_eq!(gate.reason().as_deref(), Some("the storage answers 500"));
            gate.open().await;
            assert_eq!(gate.reason(), None);
        }
        stop.cancel();
    }
}
