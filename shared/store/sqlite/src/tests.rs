//! The contract on SQLite, and what only this store promises.

use super::*;
use remaster_shared::clock::{ManualClock, SystemClock};
use remaster_store::contract::{client, new_job, newcomers_without_end, request, start, submit};
use remaster_store::{Store, contract_tests};

async fn make(policy: Policy, clock: Arc<ManualClock>) -> (Arc<dyn Store>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), policy, clock).unwrap();
    (Arc::new(store), folder)
}

contract_tests!(make);

#[tokio::test]
async fn of_two_thousand_clients_nobody_starves() {
    let (store, _kept) = make(Policy::default(), ManualClock::at(start())).await;
    newcomers_without_end(&*store, 2000, 6000).await;
}

#[tokio::test]
async fn a_folder_serves_one_process() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), Policy::default(), Arc::new(SystemClock)).unwrap();
    let second = SqliteStore::open(folder.path(), Policy::default(), Arc::new(SystemClock));
    assert!(second.err().unwrap().to_string().contains("in use by another remaster process"));
    drop(store);
    SqliteStore::open(folder.path(), Policy::default(), Arc::new(SystemClock)).unwrap();
}

#[tokio::test]
async fn leases_of_a_process_that_is_gone_end_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(start());
    let store = SqliteStore::open(folder.path(), Policy::default(), clock.clone()).unwrap();
    let id = submit(&store, 1, 1).await[0];
    let Claim::Job(_, old) = store.claim(&request()).await.unwrap() else { panic!() };
    store.heartbeat(&old).await.unwrap();
    let secret = store.hasher().key("192.0.2.1".parse().unwrap());
    drop(store);

    let store = SqliteStore::open(folder.path(), Policy::default(), clock).unwrap();
    assert_eq!(store.hasher().key("192.0.2.1".parse().unwrap()), secret);
    let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() else { panic!() };
    assert_eq!((job.id, job.attempt), (id, 2));
    assert_ne!(lease.fence, old.fence);
    assert_eq!(store.quota(client(1)).await.unwrap().used, 1);
}

#[tokio::test]
async fn a_newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(SqliteStore::open(folder.path(), Policy::default(), Arc::new(SystemClock)).unwrap());
    let database = Connection::open(folder.path().join("remaster.sqlite")).unwrap();
    database.pragma_update(None, "user_version", 999).unwrap();
    drop(database);
    let refused = SqliteStore::open(folder.path(), Policy::default(), Arc::new(SystemClock));
    assert!(refused.err().unwrap().to_string().contains("newer remaster"));
}

#[tokio::test]
async fn an_accepted_write_stands_when_its_caller_is_gone() {
    let (store, _folder) = make(Policy::default(), ManualClock::at(start())).await;
    let job = new_job();
    let id = job.id;
    let mut submitting = Box::pin(store.submit(NewJobs::new(client(1), vec![job])));
    // One poll sends the write; then its caller gives up.
    assert!(futures::poll!(&mut submitting).is_pending());
    drop(submitting);
    store.cancel(id).await.expect("the job is there");
}
