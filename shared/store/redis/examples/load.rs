//! What a job costs the servers: the time that Redis spends in the functions of each verb, by its own account, with many clients
//! waiting, and from that how many jobs a second one server can take.
//!
//! `REDIS_URL=redis://127.0.0.1 SHARDS=12 CLIENTS=100000 cargo run --release -p remaster-store-redis --example load` on an empty server.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a measurement by hand")]

use std::process::Command;

use remaster_shared::client::ClientKey;
use remaster_store::contract::{new_job_of, request, result};
use remaster_store::rules::job::INPUT_KEPT;
use remaster_store::{Claim, Housekeeping, Jobs, Lease, NewJobs, Outcome, Policy, Submissions, WorkQueue};
use remaster_store_redis::RedisStore;

/// How often each verb is measured.
const CALLS: u32 = 3000;

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

fn client(number: u32) -> ClientKey {
    let mut key = [0; 16];
    // Spread over all shards.
    key[..4].copy_from_slice(&number.wrapping_mul(0x9E37_79B9).to_be_bytes());
    ClientKey(key)
}

/// Microseconds that the server has spent in functions so far.
fn spent(url: &str) -> f64 {
    let output = Command::new("redis-cli").args(["-u", url, "INFO", "commandstats"]).output().unwrap();
    let stats = String::from_utf8(output.stdout).unwrap();
    let fcall = stats.lines().find(|line| line.starts_with("cmdstat_fcall:")).unwrap_or_default();
    fcall.split(',').find_map(|part| part.strip_prefix("usec=")).map_or(0.0, |usec| usec.parse().unwrap())
}

#[tokio::main]
async fn main() {
    let url = std::env::var("REDIS_URL").expect("REDIS_URL names an empty Redis");
    let (shards, clients) = (setting("SHARDS", 1), setting("CLIENTS", 100_000));
    let policy = Policy { max_queue: u64::MAX, ..Policy::default() };
    let store = RedisStore::open_sharded(&url, policy, u16::try_from(shards).unwrap()).await.unwrap();
    let submit = async |number: u32| {
        let client = client(number);
        store.submit(NewJobs::new(client, vec![new_job_of(client)])).await.unwrap().jobs[0].id
    };
    for number in 0..clients {
        submit(number).await;
    }
    println!("{clients} clients wait in {shards} shards; microseconds of the server for each call:");

    let mut jobs = Vec::new();
    let mut costs = Vec::new();
    let mut measured = |verb: &'static str, calls_of_a_job: f64, before: f64| {
        let cost = (spent(&url) - before) / f64::from(CALLS);
        println!("{verb:10} {cost:6.0}  x {calls_of_a_job}");
        costs.push(cost * calls_of_a_job);
    };
    let before = spent(&url);
    for number in 0..CALLS {
        jobs.push(submit(clients + number).await);
    }
    measured("submit", 1.0, before);
    let before = spent(&url);
    for job in &jobs {
        store.get(*job).await.unwrap();
    }
    measured("get", 3.0, before);
    let (before, mut leases): (_, Vec<Lease>) = (spent(&url), Vec::new());
    while leases.len() < CALLS as usize {
        let Claim::Job(_, lease) = store.claim(&request()).await.unwrap() else { panic!("nothing to claim") };
        leases.push(lease);
    }
    measured("claim", 1.0, before);
    let before = spent(&url);
    for lease in &leases {
        store.heartbeat(lease).await.unwrap();
    }
    measured("heartbeat", 2.0, before);
    let before = spent(&url);
    for lease in &leases {
        store.progress(lease, 0.5).await.unwrap();
    }
    measured("progress", 4.0, before);
    let before = spent(&url);
    for lease in &leases {
        store.finish(lease, Outcome::Succeeded(result())).await.unwrap();
    }
    measured("finish", 1.0, before);
    tokio::time::sleep(INPUT_KEPT).await;
    let before = spent(&url);
    while !store.garbage(1000).await.unwrap().is_empty() {}
    measured("garbage", 1.0, before);
    let job = costs.iter().sum::<f64>();
    println!("a job      {job:6.0}; one server at half its time: {:.0} jobs a second", 0.5e6 / job);
}
