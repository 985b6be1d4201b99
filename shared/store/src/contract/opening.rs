//! What a store that an older release wrote has to do once this release has opened it.

use remaster_shared::blob_key::OutputName;
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::{BatchId, BatchStatus, JobId, Status};

use super::fixtures::{client, new_job, request, result, status};
use crate::{Beat, Claim, HookRoom, Idempotency, NewJobs, Store};

/// What the fixture of an old store holds. Every such fixture was made by the same calls of the release that wrote it.
pub struct OldStore {
    /// The jobs by the names of their files.
    pub jobs: Vec<(String, JobId)>,
    /// The one batch.
    pub batch: BatchId,
}

impl OldStore {
    fn job(&self, filename: &str) -> JobId {
        self.jobs.iter().find(|(own, _)| own == filename).unwrap().1
    }
}

/// Checks that everything in the old store is found, and that its jobs, keys, batches and webhooks go on.
///
/// # Panics
/// Something is lost.
pub async fn the_jobs_of_an_old_store_go_on(store: &dyn Store, old: &OldStore) {
    let succeeded = store.get(old.job("succeeded.jpg")).await.unwrap().unwrap();
    assert_eq!((succeeded.status, succeeded.output), (Status::Succeeded, Some(OutputName::Attempt(1))));
    assert_eq!(succeeded.result.unwrap().width, 2000);
    assert_eq!(status(store, old.job("failed.jpg")).await, Status::Failed);
    assert_eq!(status(store, old.job("canceled.jpg")).await, Status::Canceled);
    assert_eq!(status(store, old.job("refused.txt")).await, Status::Failed);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.processing), (4, 1));

    // An idempotency key from the old store still gives its job.
    let again = Idempotency {
        key: "again".parse().unwrap(),
        fingerprint: FingerprintBuilder::new().part("file", b"a").finish(),
    };
    let new = NewJobs { idempotency: Some(again), ..NewJobs::new(client(1), vec![new_job()]) };
    let submitted = store.submit(new).await.unwrap();
    assert_eq!((submitted.replayed, submitted.jobs[0].id), (true, old.job("succeeded.jpg")));

    // Every job that had not ended is worked on: the queued ones, the retry, and the one whose worker is gone.
    let mut claimed = Vec::new();
    while let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() {
        assert_eq!(store.heartbeat(&lease).await.unwrap(), Beat::GoOn);
        claimed.push((job.input.filename.unwrap(), job.attempt));
        store.finish(&lease, crate::Outcome::Succeeded(result())).await.unwrap();
    }
    claimed.sort();
    let expected =
        [("batch-1.jpg", 1), ("batch-2.jpg", 1), ("processing.jpg", 2), ("queued.jpg", 1), ("retried.jpg", 2)];
    assert_eq!(claimed, expected.map(|(name, attempt)| (name.to_owned(), attempt)));
    let batch = store.batch(old.batch).await.unwrap().unwrap();
    assert_eq!((batch.status(), batch.counts().succeeded, batch.counts().failed), (BatchStatus::Finished, 2, 1));
    let room = HookRoom { total: 10, per_host: 10, ..HookRoom::default() };
    let due = store.due_hooks(room).await.unwrap().due;
    let mut hosts: Vec<_> = due.iter().map(|hook| hook.target.host().to_owned()).collect();
    hosts.sort();
    assert_eq!(hosts, ["hooks1.example.org", "hooks2.example.org"]);
}
