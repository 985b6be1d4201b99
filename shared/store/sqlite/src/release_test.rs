//! A database that release 0.1 wrote (`fixtures/release-0.1.sql`) is opened by this release, and its jobs go on.

use std::path::Path;

use remaster_shared::client::ClientKey;
use remaster_shared::clock::ManualClock;
use remaster_shared::job::{BatchId, JobId};
use remaster_store::contract::{OldStore, the_jobs_of_an_old_store_go_on};
use remaster_store::{Jobs, Policy, Submissions};
use rusqlite::Connection;

use super::SqliteStore;

fn write_fixture(path: &Path) -> OldStore {
    let db = Connection::open(path).unwrap();
    db.execute_batch(include_str!("../fixtures/release-0.1.sql")).unwrap();
    let mut query = db.prepare("SELECT json_extract(input, '$.filename'), id FROM jobs ORDER BY seq").unwrap();
    let rows = query.query_map([], |row| Ok((row.get(0)?, JobId(row.get(1)?)))).unwrap();
    let batch = db.query_row("SELECT id FROM batches", [], |row| row.get(0).map(BatchId)).unwrap();
    OldStore { jobs: rows.collect::<rusqlite::Result<_>>().unwrap(), batch }
}

#[tokio::test]
async fn a_store_of_release_0_1_opens() {
    let folder = tempfile::tempdir().unwrap();
    let old = write_fixture(&folder.path().join("remaster.sqlite"));
    let clock = ManualClock::at("2026-03-01T12:01:00Z".parse().unwrap());
    let store = SqliteStore::open(folder.path(), Policy::default(), clock).unwrap();
    let used = async |number| store.quota(ClientKey([number; 16])).await.unwrap().used;
    assert_eq!([used(1).await, used(2).await, used(3).await, used(4).await, used(5).await], [2, 1, 1, 2, 1]);

    the_jobs_of_an_old_store_go_on(&store, &old).await;
    // What was refunded is not refunded again.
    let canceled = old.jobs.iter().find(|(name, _)| name == "canceled.jpg").unwrap().1;
    store.withdraw(canceled).await.unwrap();
    assert_eq!(used(2).await, 1);
}
