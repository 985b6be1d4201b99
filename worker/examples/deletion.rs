//! How many jobs' blobs one worker deletes in a second, on this machine, from a folder and from an S3 server:
//! `JOBS=10000 cargo run --release -p remaster-worker --example deletion`.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its terminal")]

use std::sync::Arc;
use std::time::Instant;

use remaster_blobs::{Blobs, Storage};
use remaster_shared::blob_key::BlobKey;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::ManualClock;
use remaster_store::contract::new_job;
use remaster_store::rules::job::INPUT_KEPT;
use remaster_store::{NewJobs, Policy, SharedStore};
use remaster_store_sqlite::SqliteStore;
use remaster_testkit::S3Server;
use remaster_worker::janitor::collect;

async fn measure(name: &str, blobs: Blobs) {
    let jobs: usize = std::env::var("JOBS").map_or(10_000, |jobs| jobs.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let clock = ManualClock::at(jiff::Timestamp::now());
    let store = SqliteStore::open(folder.path(), Policy::default(), clock.clone()).unwrap();
    let store: SharedStore = Arc::new(store);
    let picture = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(picture.path(), vec![7; 10_000]).unwrap();
    for _ in 0..jobs / 100 {
        let new = NewJobs::new(ClientKey([1; 16]), (0..100).map(|_| new_job()).collect());
        for job in store.submit(new).await.unwrap().jobs {
            blobs.put_file(BlobKey::Input(job.id), picture.path()).await.unwrap();
            store.cancel(job.id).await.unwrap();
        }
    }
    clock.advance(INPUT_KEPT);
    let began = Instant::now();
    collect(&*store, &blobs).await.unwrap();
    let took = began.elapsed();
    println!("{name}: {jobs} jobs in {took:?}, {:.0} a second", jobs as f64 / took.as_secs_f64());
}

#[tokio::main]
async fn main() {
    remaster_shared::tls::install_default_provider();
    let folder = tempfile::tempdir().unwrap();
    measure("folder", Blobs::in_folder(folder.path()).unwrap()).await;
    let server = S3Server::start();
    measure("S3", Blobs::open(&Storage::at(server.url()), server.vars()).unwrap()).await;
}
