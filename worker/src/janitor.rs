//! Housekeeping: lost leases, expired results, blobs without a use, uploads that never became a job.
//!
//! Its parts run side by side, so that none waits for another: a storage that is slow to delete holds up no lease.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt};
use remaster_blobs::Blobs;
use remaster_shared::blob_key::BlobKey;
use remaster_store::{Housekeeping, Reaped, StoreError};
use tokio_util::sync::CancellationToken;

const EVERY: Duration = Duration::from_secs(15);
/// The search for orphans lists the whole storage, so only one worker of all does it, once in this time.
const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// A blob younger than this may belong to a submit that is under way.
const ORPHAN_AGE: Duration = Duration::from_secs(2 * 3600);
/// How many blobs are taken from the store, deleted and reported at once. Taken blobs have to be deleted within
/// [`remaster_store::GARBAGE_LEASE`].
const AT_ONCE: usize = 1000;

/// Runs until `stop`; what fails is tried again in the next round. `lease` is the store's.
pub async fn run(store: Arc<dyn Housekeeping>, blobs: Blobs, lease: Duration, stop: CancellationToken) {
    // Within half a lease, so that the store knows that this worker is within reach, also while it takes no jobs.
    let reap_every = EVERY.min(lease * 9 / 20);
    let (mut reaping, mut collecting, mut sweeping) = (rounds(reap_every), rounds(EVERY), rounds(EVERY));
    let reaped = async {
        loop {
            reaping.tick().await;
            log(reap(&*store).await);
        }
    };
    let collected = async {
        loop {
            collecting.tick().await;
            log(collect(&*store, &blobs).await);
        }
    };
    let swept = async {
        let mut turn = None;
        loop {
            sweeping.tick().await;
            log(sweep(&*store, &blobs, ORPHAN_AGE, &mut turn).await);
        }
    };
    tokio::select! {
        () = stop.cancelled() => {}
        () = reaped => {}
        () = collected => {}
        () = swept => {}
    }
}

fn rounds(every: Duration) -> tokio::time::Interval {
    let mut rounds = tokio::time::interval(every);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    rounds
}

fn log(done: Result<(), StoreError>) {
    if let Err(error) = done {
        tracing::warn!(%error, "housekeeping was cut short");
    }
}

/// Ends leases, expires results and forgets records, until nothing is left to do.
async fn reap(store: &dyn Housekeeping) -> Result<(), StoreError> {
    loop {
        let reaped = store.reap().await?;
        if reaped != Reaped::default() {
            tracing::info!(?reaped, "housekeeping");
        }
        if !reaped.more {
            return Ok(());
        }
    }
}

/// Deletes blobs that have no use any more, until none is left or the storage refuses.
///
/// # Errors
/// The store does not answer.
pub async fn collect(store: &dyn Housekeeping, blobs: &Blobs) -> Result<(), StoreError> {
    loop {
        let taken = store.garbage(AT_ONCE).await?;
        let all = taken.len();
        let gone = delete(blobs, taken).await;
        let deleted = gone.len();
        if deleted > 0 {
            store.collected(gone).await?;
        }
        if all < AT_ONCE || deleted < all {
            return Ok(());
        }
    }
}

/// Deletes the blobs and returns those that are gone.
async fn delete(blobs: &Blobs, keys: Vec<BlobKey>) -> Vec<BlobKey> {
    let all = keys.len();
    let (gone, error) = blobs.delete_all(keys).await;
    if let Some(error) = error {
        tracing::warn!(left = all - gone.len(), %error, "blobs are not deleted yet");
    }
    gone
}

/// A worker's turn to search for orphans. A search that broke off is tried again, less and less often, until the next turn is due: nobody
/// else searches meanwhile.
struct Turn {
    ends: Instant,
    /// When the search is tried next.
    next: Instant,
    /// The wait after that, should it break off again.
    wait: Duration,
}

impl Turn {
    fn new() -> Self {
        let now = Instant::now();
        Self { ends: now + SWEEP_EVERY, next: now, wait: EVERY }
    }

    fn later(self) -> Option<Self> {
        let next = Instant::now() + self.wait;
        (next < self.ends).then_some(Self { next, wait: self.wait * 2, ..self })
    }
}

/// Deletes blobs of at least this age that no job will ever use, if it is this worker's turn to search for them.
async fn sweep(
    store: &dyn Housekeeping,
    blobs: &Blobs,
    age: Duration,
    turn: &mut Option<Turn>,
) -> Result<(), StoreError> {
    if turn.is_none() && store.takes_sweep(SWEEP_EVERY).await? {
        *turn = Some(Turn::new());
    }
    let Some(present) = turn.take_if(|turn| turn.next <= Instant::now()) else { return Ok(()) };
    let done = delete_orphans(store, blobs, age).await;
    if !matches!(done, Ok(true)) {
        *turn = present.later();
    }
    done.map(drop)
}

/// Returns whether the search came to its end, or need not be tried again.
async fn delete_orphans(store: &dyn Housekeeping, blobs: &Blobs, age: Duration) -> Result<bool, StoreError> {
    match blobs.belong_to(&store.hasher().store_name()).await {
        Ok(true) => {}
        Ok(false) => {
            tracing::warn!("the storage belongs to another job store (its object `owner`): orphans are left alone");
            return Ok(true);
        }
        Err(error) => {
            tracing::warn!(%error, "whose the storage is cannot be found out");
            return Ok(false);
        }
    }
    // By the storage's clock: a worker whose own is ahead would take uploads that are under way for old ones.
    let old = match blobs.older_than(age).await {
        Ok(old) => old,
        Err(error) => {
            tracing::warn!(%error, "the storage does not answer, so orphans are left for later");
            return Ok(false);
        }
    };
    let mut old = old.try_ready_chunks(AT_ONCE);
    while let Some(chunk) = old.next().await {
        let keys = match chunk {
            Ok(keys) => keys,
            Err(error) => {
                tracing::warn!(error = %error.1, "the storage cannot be listed");
                return Ok(false);
            }
        };
        let orphans = delete(blobs, store.unused(keys).await?).await;
        if !orphans.is_empty() {
            tracing::info!(blobs = orphans.len(), "orphans deleted");
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use remaster_blobs::Storage;
    use remaster_shared::client::ClientKey;
    use remaster_shared::clock::ManualClock;
    use remaster_shared::error::{ErrorCode, JobError};
    use remaster_shared::job::JobId;
    use remaster_store::contract::{new_job, request, result};
    use remaster_store::rules::job::INPUT_KEPT;
    use remaster_store::{Claim, Lease, NewJob, NewJobs, Outcome, Policy, Submissions, WorkQueue};
    use remaster_store_sqlite::SqliteStore;
    use remaster_testkit::S3Server;

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
            let clock = ManualClock::at(jiff::Timestamp::now());
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
            let all = self.blobs.older_than(Duration::ZERO).await.unwrap();
            let mut keys: Vec<_> = all.try_collect().await.unwrap();
            keys.sort_by_key(ToString::to_string);
            keys
        }

        async fn tidy(&self) {
            self.tidy_orphans_of(ORPHAN_AGE).await;
        }

        async fn tidy_orphans_of(&self, age: Duration) {
            reap(&self.store).await.unwrap();
            collect(&self.store, &self.blobs).await.unwrap();
            delete_orphans(&self.store, &self.blobs, age).await.unwrap();
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
        let output = BlobKey::Output(id, lease.fence.into());
        assert_eq!(house.kept().await, [BlobKey::Input(id), output], "the store may yet lose the end");
        house.clock.advance(INPUT_KEPT);
        house.tidy().await;
        assert_eq!(house.kept().await, [output]);
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
        house.clock.advance(INPUT_KEPT);
        house.tidy().await;
        assert!(house.kept().await.contains(&orphan), "it may belong to a submit that is under way");

        house.tidy_orphans_of(Duration::ZERO).await;
        let mut expected = vec![BlobKey::Input(queued), BlobKey::Output(waiting, lease.fence.into())];
        expected.sort_by_key(ToString::to_string);
        assert_eq!(house.kept().await, expected);
    }

    #[tokio::test]
    async fn a_worker_whose_clock_is_ahead_deletes_no_upload_that_is_under_way() {
        let house = House::new();
        let upload = BlobKey::Input(JobId::random());
        house.put(upload).await;
        house.clock.advance(ORPHAN_AGE * 2);
        house.tidy().await;
        assert_eq!(house.kept().await, [upload]);
    }

    #[tokio::test]
    async fn one_worker_in_an_hour_searches_for_orphans() {
        let house = House::new();
        let orphan = BlobKey::Input(JobId::random());
        let search = async || sweep(&house.store, &house.blobs, Duration::ZERO, &mut None).await.unwrap();
        house.put(orphan).await;
        search().await;
        assert_eq!(house.kept().await, []);
        house.put(orphan).await;
        search().await;
        assert_eq!(house.kept().await, [orphan], "another worker's turn is an hour later");
        house.clock.advance(SWEEP_EVERY);
        search().await;
        assert_eq!(house.kept().await, []);
    }

    #[tokio::test]
    async fn a_search_that_broke_off_is_taken_up_again() {
        remaster_shared::tls::install_default_provider();
        let server = S3Server::start();
        let blobs = Blobs::open(&Storage::at(server.url()), server.vars()).unwrap();
        let (house, mut turn) = (House { blobs, ..House::new() }, None);
        house.put(BlobKey::Input(JobId::random())).await;
        server.set_failing(true);
        sweep(&house.store, &house.blobs, Duration::ZERO, &mut turn).await.unwrap();
        server.set_failing(false);
        let broken_off = turn.as_mut().expect("it is still this worker's turn");
        assert!(broken_off.next > Instant::now() && broken_off.wait == EVERY * 2);
        broken_off.next = Instant::now();
        sweep(&house.store, &house.blobs, Duration::ZERO, &mut turn).await.unwrap();
        assert!(turn.is_none());
        assert_eq!(house.kept().await, []);
    }

    #[tokio::test]
    async fn a_failed_job_s_input_is_kept_as_long_as_a_result() {
        let house = House::new();
        let id = house.submit().await;
        let lease = house.claim().await;
        let error = JobError::new(ErrorCode::ImageCorrupt, "cut short");
        house.store.finish(&lease, Outcome::Failed(error)).await.unwrap();
        house.tidy().await;
        assert_eq!(house.kept().await, [BlobKey::Input(id)]);
        house.clock.advance(Policy::default().result_ttl);
        house.tidy().await;
        assert_eq!(house.kept().await, []);
    }

    #[tokio::test]
    async fn thousands_of_blobs_go_in_one_round() {
        let house = House::new();
        for _ in 0..25 {
            let jobs: Vec<_> = (0..100).map(|_| new_job()).collect();
            house.store.submit(NewJobs::new(ClientKey([1; 16]), jobs)).await.unwrap();
        }
        while let Claim::Job(_, lease) = house.store.claim(&request()).await.unwrap() {
            house.store.finish(&lease, Outcome::Canceled).await.unwrap();
        }
        house.clock.advance(INPUT_KEPT);
        collect(&house.store, &house.blobs).await.unwrap();
        house.clock.advance(remaster_store::GARBAGE_LEASE);
        assert_eq!(house.store.garbage(AT_ONCE).await.unwrap(), []);
    }
}
