//! How long the queue takes, on this machine: from submit to claim with an idle worker, and a claim with a short and a
//! long queue. `cargo run --release -p remaster-store-redis --example queue`, with `REDIS_URL` for the second store.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its terminal")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use remaster_shared::client::ClientKey;
use remaster_shared::clock::SystemClock;
use remaster_shared::job::{EnhanceParams, InputInfo, JobId, ModelId, PictureFormat};
use remaster_store::contract::request;
use remaster_store::{Claim, NewJob, NewJobs, Outcome, Policy, SharedStore};
use remaster_store_redis::RedisStore;
use remaster_store_sqlite::SqliteStore;

const ROUNDS: usize = 500;
const CLAIMS: usize = 200;

fn jobs(client: ClientKey, count: usize) -> Vec<NewJob> {
    let params = EnhanceParams::of(ModelId::parse("realesrgan-x4plus").unwrap());
    let input = InputInfo {
        filename: None,
        format: Some(PictureFormat::Jpeg),
        width: 800,
        height: 600,
        bytes: 1,
        frames: None,
        alpha: false,
    };
    let job = |_| NewJob::new(JobId::of(client), params.clone(), input.clone());
    (0..count).map(job).collect()
}

fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort();
    times[(times.len() * percent / 100).min(times.len() - 1)].as_secs_f64() * 1e3
}

async fn submit(store: &SharedStore, client: u8, count: usize) {
    let (client, mut left) = (ClientKey([client; 16]), count);
    while left > 0 {
        let some = left.min(500);
        store.submit(NewJobs::new(client, jobs(client, some))).await.unwrap();
        left -= some;
    }
}

/// From just before the submit to the claim that a waiting worker gets.
async fn latency(store: &SharedStore) {
    let (told, mut claimed) = tokio::sync::mpsc::channel(1);
    let worker = store.clone();
    tokio::spawn(async move {
        loop {
            match worker.claim(&request()).await.unwrap() {
                Claim::Job(_, lease) => {
                    let at = Instant::now();
                    worker.finish(&lease, Outcome::Canceled).await.unwrap();
                    if told.send(at).await.is_err() {
                        return;
                    }
                }
                Claim::Nothing { .. } | Claim::HeldBack => {
                    worker.wait_for_work(&request().skills, Duration::from_secs(5)).await
                }
            }
        }
    });
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        submit(store, 1, 1).await;
        times.push(claimed.recv().await.unwrap() - began);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    println!("  submit to claim: p50 {:.2} ms, p99 {:.2} ms", percentile(&mut times, 50), percentile(&mut times, 99));
}

/// The time of one claim with about `queued` jobs waiting.
async fn claim(store: &SharedStore, queued: usize) -> f64 {
    submit(store, 2, queued).await;
    let mut times = Vec::new();
    for _ in 0..CLAIMS {
        let began = Instant::now();
        let Claim::Job(_, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
        times.push(began.elapsed());
        store.finish(&lease, Outcome::Canceled).await.unwrap();
        submit(store, 2, 1).await;
    }
    for _ in 0..queued {
        let Claim::Job(_, lease) = store.claim(&request()).await.unwrap() else { break };
        store.finish(&lease, Outcome::Canceled).await.unwrap();
    }
    percentile(&mut times, 50)
}

async fn measure(name: &str, store: SharedStore) {
    println!("{name}");
    let short = claim(&store, 10).await;
    let long = claim(&store, 10_000).await;
    println!("  a claim: 10 queued {short:.2} ms, 10,000 queued {long:.2} ms, ratio {:.2}", long / short);
    latency(&store).await;
}

#[tokio::main]
async fn main() {
    let policy = Policy { daily_limit: u64::MAX >> 1, ..Policy::default() };
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), policy.clone(), Arc::new(SystemClock)).unwrap();
    measure("sqlite", Arc::new(store)).await;
    if let Ok(url) = std::env::var("REDIS_URL") {
        measure("redis", Arc::new(RedisStore::open(&url, policy).await.unwrap())).await;
    }
}
