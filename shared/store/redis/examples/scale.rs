//! What each verb costs with a short queue and with a very long one, on this machine:
//! `JOBS=1000000 CLIENTS=100000 cargo run --release -p remaster-store-redis --example scale`, with `REDIS_URL` for the second store
//! (an empty server). With `RECORDS=10000000` as many jobs that have ended are remembered beside the long queue.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark talks to its terminal")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use remaster_shared::blob_key::BlobKey;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::SystemClock;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::{BatchId, JobId};
use remaster_store::contract::{new_job_of, request, result};
use remaster_store::{Claim, NewJob, NewJobs, Outcome, Policy, SharedStore};
use remaster_store_redis::RedisStore;
use remaster_store_sqlite::SqliteStore;

const SHORT: usize = 100;
const ROUNDS: usize = 300;
/// Jobs of one submit while the queue is filled.
const EACH: usize = 10;
const SUBMITTERS: usize = 16;
/// Files of one batch while records are made.
const BATCH: usize = 1000;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn client(number: usize) -> ClientKey {
    let mut key = [0; 16];
    key[..8].copy_from_slice(&(number as u64).to_be_bytes());
    ClientKey(key)
}

async fn submit(store: &SharedStore, number: usize, jobs: usize) -> JobId {
    let new = NewJobs::new(client(number), (0..jobs).map(|_| new_job_of(client(number))).collect());
    store.submit(new).await.unwrap().jobs[0].id
}

/// Fills the queue to `jobs` jobs of `clients` clients.
async fn fill(store: &SharedStore, jobs: usize, clients: usize) {
    let mut fillers = tokio::task::JoinSet::new();
    for filler in 0..SUBMITTERS {
        let store = store.clone();
        fillers.spawn(async move {
            for number in (filler..jobs / EACH).step_by(SUBMITTERS) {
                submit(&store, number % clients, EACH).await;
            }
        });
    }
    while fillers.join_next().await.is_some() {}
}

/// Has the store remember `records` jobs that have ended: files that were refused, in batches, which is the fastest way there.
async fn remember(store: &SharedStore, records: usize, clients: usize) {
    let mut fillers = tokio::task::JoinSet::new();
    for filler in 0..SUBMITTERS {
        let store = store.clone();
        fillers.spawn(async move {
            for number in (filler..records / BATCH).step_by(SUBMITTERS) {
                let client = client(number % clients);
                let refused = || JobError::new(ErrorCode::UnsupportedFormat, "not an image");
                let job = |_| NewJob { refused: Some(refused()), ..new_job_of(client) };
                let jobs = NewJobs::new(client, (0..BATCH).map(job).collect());
                store.submit(NewJobs { batch: Some(BatchId::of(client)), ..jobs }).await.unwrap();
            }
        });
    }
    while fillers.join_next().await.is_some() {}
}

#[derive(Default)]
struct Times(Vec<(&'static str, Vec<Duration>)>);

impl Times {
    async fn of<T>(&mut self, verb: &'static str, call: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let done = call.await;
        let took = began.elapsed();
        match self.0.iter_mut().find(|(name, _)| *name == verb) {
            Some((_, times)) => times.push(took),
            None => self.0.push((verb, vec![took])),
        }
        done
    }

    fn medians(mut self) -> Vec<(&'static str, f64)> {
        let median = |times: &mut Vec<Duration>| {
            times.sort();
            times[times.len() / 2].as_secs_f64() * 1e6
        };
        self.0.iter_mut().map(|(name, times)| (*name, median(times))).collect()
    }
}

/// The verbs, in microseconds, at a queue that keeps its length.
async fn verbs(store: &SharedStore, clients: usize) -> Vec<(&'static str, f64)> {
    let mut times = Times::default();
    for round in 0..ROUNDS {
        // A step that visits clients all over the line.
        let number = round * 7919 % clients;
        let id = times.of("submit", submit(store, number, 1)).await;
        times.of("get, with position", store.get(id)).await.unwrap();
        times.of("quota", store.quota(client(number))).await.unwrap();
        times.of("stats", store.stats()).await.unwrap();
        let Claim::Job(_, lease) = times.of("claim", store.claim(&request())).await.unwrap() else { panic!("none") };
        times.of("heartbeat", store.heartbeat(&lease)).await.unwrap();
        times.of("progress", store.progress(&lease, 0.5)).await.unwrap();
        let done = times.of("finish", store.finish(&lease, Outcome::Succeeded(result()))).await.unwrap();
        if round % 10 == 0 {
            times.of("reap", store.reap()).await.unwrap();
        }
        let gone = vec![BlobKey::Input(done.id)];
        times.of("collected", store.collected(gone)).await.unwrap();
    }
    times.medians()
}

async fn measure(name: &str, store: SharedStore, kept: impl Fn() -> u64) {
    let (jobs, clients) = (setting("JOBS", 100_000), setting("CLIENTS", 10_000));
    fill(&store, SHORT, SHORT / EACH).await;
    verbs(&store, SHORT / EACH).await;
    let short = verbs(&store, SHORT / EACH).await;
    let (before, began) = (kept(), Instant::now());
    fill(&store, jobs, clients).await;
    let (filled, queued) = (began.elapsed(), kept() - before);
    let records = setting("RECORDS", 0);
    remember(&store, records, clients).await;
    let long = verbs(&store, clients).await;
    println!("{name}: {SHORT} queued, and {jobs} of {clients} clients beside {records} that have ended");
    for ((verb, short), (_, long)) in short.iter().zip(&long) {
        println!("  {verb:20} {short:8.0} us {long:8.0} us   ratio {:.2}", long / short);
    }
    let rate = jobs as f64 / filled.as_secs_f64();
    println!("  filled at {rate:.0} jobs a second; {} bytes kept for a job", queued / jobs as u64);
}

#[tokio::main]
async fn main() {
    let policy = Policy { daily_limit: u64::MAX >> 1, max_queue: u64::MAX >> 1, ..Policy::default() };
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(folder.path(), policy.clone(), Arc::new(SystemClock)).unwrap();
    let size = || std::fs::metadata(folder.path().join("remaster.sqlite")).unwrap().len();
    measure("sqlite", Arc::new(store), size).await;
    if let Ok(url) = std::env::var("REDIS_URL") {
        let used = || {
            let info = std::process::Command::new("redis-cli").args(["-u", &url, "INFO", "memory"]).output().unwrap();
            let text = String::from_utf8(info.stdout).unwrap();
            text.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().trim().parse().unwrap()
        };
        measure("redis", Arc::new(RedisStore::open(&url, policy).await.unwrap()), used).await;
    }
}
