//! Housekeeping: lost leases, expired results, blobs without a use, uploads that never became a job.

use std::time::Duration;

use remaster_shared::blob::{BlobKey, Blobs};
use remaster_shared::job::Status;
use remaster_shared::store::{Reaped, SharedStore, Store, StoreError};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(15);
/// Orphans are looked for every so many rounds: it lists the whole storage.
const SWEEP_ROUNDS: u32 = 240;
/// A blob younger than this may belong to a submit that is under way.
const ORPHAN_AGE: Duration = Duration::from_secs(3600);
/// Blobs deleted per round.
const AT_ONCE: usize = 1000;

/// Runs until `stop`; what fails is tried again in the next round.
pub async fn run(store: SharedStore, blobs: Blobs, stop: CancellationToken) {
    let mut rounds = tokio::time::interval(EVERY);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0_u32.. {
        tokio::select! {
            _ = rounds.tick() => {}
            () = stop.cancelled() => return,
        }
        if let Err(error) = tidy(&*store, &blobs, round.is_multiple_of(SWEEP_ROUNDS)).await {
            tracing::warn!(%error, "housekeeping was cut short");
        }
    }
}

async fn tidy(store: &dyn Store, blobs: &Blobs, sweep: bool) -> Result<(), StoreError> {
    let reaped = store.reap().await?;
    if reaped != Reaped::default() {
        tracing::info!(?reaped, "housekeeping");
    }
    let mut gone = Vec::new();
    for key in store.garbage(AT_ONCE).await? {
        match blobs.delete(key).await {
            Ok(()) => gone.push(key),
            Err(error) => tracing::warn!(%key, %error, "not deleted yet"),
        }
    }
    if !gone.is_empty() {
        store.collected(gone).await?;
    }
    if sweep {
        orphans(store, blobs).await?;
    }
    Ok(())
}

/// Deletes old blobs that no job will ever use.
async fn orphans(store: &dyn Store, blobs: &Blobs) -> Result<(), StoreError> {
    let Ok(before) = store.now().checked_sub(ORPHAN_AGE) else { return Ok(()) };
    let old = match blobs.older_than(before).await {
        Ok(old) => old,
        Err(error) => {
            tracing::warn!(%error, "the storage cannot be listed");
            return Ok(());
        }
    };
    for key in old {
        let used = match (store.get(key.job()).await?, key) {
            (None, _) => false,
            (Some(job), _) if !job.status.is_terminal() => true,
            (Some(_), BlobKey::Input(_)) => false,
            (Some(job), BlobKey::Output(_, attempt)) => job.status == Status::Succeeded && job.attempt == attempt,
        };
        if !used {
            match blobs.delete(key).await {
                Ok(()) => tracing::info!(%key, "orphan deleted"),
                Err(error) => tracing::warn!(%key, %error, "orphan not deleted yet"),
            }
        }
    }
    Ok(())
}
