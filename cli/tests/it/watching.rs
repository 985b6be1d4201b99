//! Many callers wait for one job on two API nodes. They are answered at once, and the nodes do not poll the store for them.

use std::time::{Duration, Instant};

use futures::StreamExt;
use remaster_shared::job::{FaceReport, FaceStatus, JobResult};
use remaster_store::contract::request;
use remaster_store::{Claim, Outcome, Policy, WorkQueue};
use remaster_store_redis::RedisStore;
use serde_json::Value;

use crate::harness::photo;
use crate::site::Site;

/// The number of event streams, and of long polls.
const EACH: usize = 50;
/// The time over which commands to the store are counted while nothing happens.
const QUIET: Duration = Duration::from_secs(5);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_streams_and_fifty_waits_on_two_nodes() {
    let site = Site::new();
    let nodes = [site.node("api"), site.node("api")];
    let job: Value = nodes[0].post("/jobs?background=false", photo(64, 48)).await.json().await.unwrap();
    let id = job["id"].as_str().unwrap().to_owned();
    // The test itself takes the part of the worker.
    let store = RedisStore::open(&site.redis.url(), Policy::default()).await.unwrap();
    let Claim::Job(_, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };

    site.until_quiet().await;
    let before = site.commands();
    tokio::time::sleep(QUIET).await;
    let idle = site.commands() - before;
    let mut waiting = Vec::new();
    let asked = site.commands();
    for number in 0..2 * EACH {
        let path = if number < EACH { format!("/jobs/{id}/events") } else { format!("/jobs/{id}?wait=60") };
        let node = &nodes[number % 2];
        let response = node.http.get(node.url(&path)).send();
        waiting.push(tokio::spawn(async move {
            let mut body = response.await.unwrap().bytes_stream();
            let mut text = String::new();
            while let Some(piece) = body.next().await {
                text.push_str(&String::from_utf8_lossy(&piece.unwrap()));
                if text.contains("\"succeeded\"") {
                    return Instant::now();
                }
            }
            panic!("no end in {text}");
        }));
    }
    // Each request reads the job once, and waits after that.
    let deadline = Instant::now() + Duration::from_secs(20);
    while site.commands() - asked < 2 * EACH as u64 {
        assert!(Instant::now() < deadline, "the requests reach the store");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    site.until_quiet().await;
    let before = site.commands();
    tokio::time::sleep(QUIET).await;
    let watched = site.commands() - before;
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()));

    let faces = FaceReport { found: 0, restored: 0, status: FaceStatus::Off };
    let result = JobResult { width: 128, height: 96, bytes: 1, sha256: "00".repeat(32), faces, precision: None };
    store.finish(&lease, Outcome::Succeeded(result)).await.unwrap();
    let ended = Instant::now();
    let mut late = Vec::new();
    for waiter in waiting {
        late.push(waiter.await.unwrap().saturating_duration_since(ended));
    }
    late.sort();
    println!(
        "answered after {:?} (median) and {:?} (last); commands in {QUIET:?}: {idle} with nobody waiting, {watched} with {}",
        late[EACH],
        late[2 * EACH - 1],
        2 * EACH,
    );
    // The aim is 0.2 s. A machine that is busy with other work is given more time.
    assert!(late[2 * EACH - 1] < Duration::from_secs(2), "{late:?}");
    // Both nodes ping the server and look for due webhooks, whether anybody waits or not.
    assert!(watched <= idle + 10, "{idle} {watched}");
}
