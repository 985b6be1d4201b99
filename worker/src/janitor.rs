//! Housekeeping: lost leases, expired results, blobs without a use, uploads that never became a job.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use remaster_blobs::Blobs;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::job::Status;
use remaster_store::{Housekeeping, Reaped, StoreError};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(15);
/// The search for orphans runs once in this many rounds, which is hourly, because it lists the whole storage.
const SWEEP_ROUNDS: u32 = 240;
/// A blob younger than this may belong to a submit that is under way.
const ORPHAN_AGE: Duration = Duration::from_secs(2 * 3600);
/// How many inputs, and how many outputs, are deleted as garbage in one round. Orphans are not limited.
const AT_ONCE: usize = 1000;

/// Runs until `stop`; what fails is tried again in the next round.
pub async fn run(store: Arc<dyn Housekeeping>, blobs: Blobs, lease: Duration, stop: CancellationToken) {
    // Within half a lease, so that the store knows that this worker is within reach, also while it takes no jobs.
    let mut rounds = tokio::time::interval(EVERY.min(lease * 9 / 20));
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for round in 0_u32.. {
        tokio::select! {
            _ = rounds.tick() => {}
            () = stop.cancelled() => return,
        }
        let tidied = tokio::select! {
            tidied = tidy(&*store, &blobs, round.is_multiple_of(SWEEP_ROUNDS)) => tidied,
            () = stop.cancelled() => return,
        };
        if let Err(error) = tidied {
            tracing::warn!(%error, "housekeeping was cut short");
        }
    }
}

async fn tidy(store: &dyn Housekeeping, blobs: &Blobs, sweep: bool) -> Result<(), StoreError> {
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
async fn orphans(store: &dyn Housekeeping, blobs: &Blobs) -> Result<(), StoreError> {
    let Ok(before) = store.now().checked_sub(ORPHAN_AGE) else { return Ok(()) };
    // The store's secret gives every store a name of its own, the same to all its nodes.
    let name = store.hasher().key(IpAddr::V4(Ipv4Addr::UNSPECIFIED)).to_string();
    match blobs.belong_to(&name).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!("the storage belongs to another job store (its object `owner`): orphans are left alone");
            return Ok(());
        }
        Err(error) => {
            tracing::warn!(%error, "whose the storage is cannot be found out");
            return Ok(());
        }
    }
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
            (Some(job), BlobKey::Output(_, name)) => job.status == Status::Succeeded && job.output == Some(name),
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use remaster_shared::client::ClientKey;
    use remaster_shared::clock::ManualClock;
    use remaster_shared::job::JobId;
    use remaster_store::contract::{new_job, request, result};
    use remaster_store::{Claim, Lease, NewJob, NewJobs, Outcome, Policy, Submissions, WorkQueue};
    use remaster_store_sqlite::SqliteStore;

    use super::*;

    struct House {
        store: SqliteStore,
        blobs: Blobs,
        clock: Arc<ManualClock>,
        _folder: tempfile::TempDir,
    }

    impl House {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            // The storage stamps objects with the real time.
            let clock = ManualClock::at(Timestamp::now());
            let store = SqliteStore::open(folder.path(), Policy::default(), clock.clone()).unwrap();
            Self { store, blobs: Blobs::in_memory(), clock, _folder: folder }
        }

        async fn put(&self, key: BlobKey) {
            let file = tempfile::NamedTempFile::new().unwrap();
            self.blobs.put_file(key, file.path()).await.unwrap();
        }

        async fn submit(&self) -> JobId {
            let id = JobId::random();
            self.put(BlobKey::Input(id)).await;
            let new = NewJobs::new(ClientKey([1; 16]), vec![NewJob { id, ..new_job() }]);
            self.store.submit(new).await.unwrap();
            id
        }

        async fn claim(&self) -> Lease {
            let Claim::Job(_, lease) = self.store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
            lease
        }

        async fn succeed(&self, lease: &Lease) {
            self.put(BlobKey::Output(lease.job, lease.fence.into())).await;
            self.store.finish(lease, Outcome::Succeeded(result())).await.unwrap();
        }

        async fn kept(&self) -> Vec<BlobKey> {
            let mut keys = self.blobs.older_than(Timestamp::MAX).await.unwrap();
            keys.sort_by_key(ToString::to_string);
            keys
        }

        async fn tidy(&self) {
            tidy(&self.store, &self.blobs, true).await.unwrap();
        }
    }

    #[tokio::test]
    async fn an_input_goes_with_its_job_s_end_and_a_result_with_its_time() {
        let house = House::new();
        let id = house.submit().await;
        house.tidy().await;
        assert_eq!(house.kept().await, [BlobKey::Input(id)]);
        let lease = house.claim().await;
        house.succeed(&lease).await;
        house.tidy().await;
        assert_eq!(house.kept().await, [BlobKey::Output(id, lease.fence.into())]);
        house.clock.advance(Policy::default().result_ttl);
        house.tidy().await;
        assert_eq!(house.kept().await, []);
    }

    #[tokio::test]
    async fn orphans_go_once_they_are_old_and_nothing_else_does() {
        let house = House::new();
        let waiting = house.submit().await;
        let lost = house.claim().await;
        house.put(BlobKey::Output(waiting, lost.fence.into())).await;
        // Its worker is silent for a lease, while others are not.
        for _ in 0..3 {
            house.clock.advance(Policy::default().lease / 3);
            house.store.reap().await.unwrap();
        }
        let lease = house.claim().await;
        house.succeed(&lease).await;
        let queued = house.submit().await;
        let orphan = BlobKey::Input(JobId::random());
        house.put(orphan).await;
        house.tidy().await;
        assert!(house.kept().await.contains(&orphan), "it may belong to a submit that is under way");

        house.clock.advance(ORPHAN_AGE * 2);
        house.tidy().await;
        let mut expected = vec![BlobKey::Input(queued), BlobKey::Output(waiting, lease.fence.into())];
        expected.sort_by_key(ToString::to_string);
        assert_eq!(house.kept().await, expected);
    }
}
