//! A database that release 0.1 wrote (`fixtures/release-0.1.sql`) is opened by this release, and its jobs go on.

use jiff::Timestamp;
use remaster_shared::blob_key::OutputName;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::ManualClock;
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::{BatchId, BatchStatus, JobId, Status};
use remaster_store::contract::{new_job, request, result};
use remaster_store::{
    Beat, Claim, HookRoom, Idempotency, Jobs, NewJobs, Outbox, Outcome, Policy, Submissions, WorkQueue,
};
use rusqlite::Connection;

use super::SqliteStore;

/// The jobs by the names of their files, and the batch.
fn jobs(path: &std::path::Path) -> (Vec<(String, JobId)>, BatchId) {
    let db = Connection::open(path).unwrap();
    let mut query = db.prepare("SELECT json_extract(input, '$.filename'), id FROM jobs ORDER BY seq").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, JobId(row.get(1)?)))).unwrap();
    let batch = db.query_row("SELECT id FROM batches", [], |row| row.get(0).map(BatchId)).unwrap();
    (rows.collect::<rusqlite::Result<_>>().unwrap(), batch)
}

#[tokio::test]
async fn a_store_of_release_0_1_opens() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("remaster.sqlite");
    let old = Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../fixtures/release-0.1.sql")).unwrap();
    drop(old);
    let (jobs, batch) = jobs(&path);
    let id = |name: &str| jobs.iter().find(|(own, _)| own == name).unwrap().1;

    let clock = ManualClock::at("2026-03-01T12:01:00Z".parse::<Timestamp>().unwrap());
    let store = SqliteStore::open(folder.path(), Policy::default(), clock).unwrap();
    let job = async |name: &str| store.get(id(name)).await.unwrap().unwrap();
    let succeeded = job("succeeded.jpg").await;
    assert_eq!((succeeded.status, succeeded.output), (Status::Succeeded, Some(OutputName::Attempt(1))));
    assert_eq!(succeeded.result.unwrap().width, 2000);
    assert_eq!(job("failed.jpg").await.status, Status::Failed);
    assert_eq!(job("canceled.jpg").await.status, Status::Canceled);
    assert_eq!(job("refused.txt").await.status, Status::Failed);
    let used = async |number| store.quota(ClientKey([number; 16])).await.unwrap().used;
    assert_eq!([used(1).await, used(2).await, used(3).await, used(4).await, used(5).await], [2, 1, 1, 2, 1]);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.processing), (4, 1));
    // What was refunded is not refunded again.
    store.withdraw(id("canceled.jpg")).await.unwrap();
    assert_eq!(used(2).await, 1);

    // A key of before stands for its job.
    let again = Idempotency {
        key: "again".parse().unwrap(),
        fingerprint: FingerprintBuilder::new().part("file", b"a").finish(),
    };
    let new = NewJobs { idempotency: Some(again), ..NewJobs::new(ClientKey([1; 16]), vec![new_job()]) };
    let submitted = store.submit(new).await.unwrap();
    assert_eq!((submitted.replayed, submitted.jobs[0].id), (true, id("succeeded.jpg")));

    // Every job that had not ended is worked on: the queued ones, the retry, and the one whose worker went with its process.
    let mut claimed = Vec::new();
    while let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() {
        assert_eq!(store.heartbeat(&lease).await.unwrap(), Beat::GoOn);
        claimed.push((job.input.filename.unwrap(), job.attempt));
        store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    }
    claimed.sort();
    let expected =
        [("batch-1.jpg", 1), ("batch-2.jpg", 1), ("processing.jpg", 2), ("queued.jpg", 1), ("retried.jpg", 2)];
    assert_eq!(claimed, expected.map(|(name, attempt)| (name.to_owned(), attempt)));
    let batch = store.batch(batch).await.unwrap().unwrap();
    assert_eq!((batch.status(), batch.counts().succeeded, batch.counts().failed), (BatchStatus::Finished, 2, 1));
    let room = HookRoom { total: 10, per_host: 10, ..HookRoom::default() };
    let mut hosts: Vec<_> =
        store.due_hooks(room).await.unwrap().due.iter().map(|hook| hook.target.host().to_owned()).collect();
    hosts.sort();
    assert_eq!(hosts, ["hooks1.example.org", "hooks2.example.org"]);
}
