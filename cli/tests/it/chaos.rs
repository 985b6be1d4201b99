//! Workers are killed and Redis is restarted under load. Every accepted job ends exactly once, its webhook is delivered, and
//! the quotas are right.
//!
//! `CHAOS_JOBS=5000 cargo nextest run -p remaster-cli chaos --no-capture` runs it with more jobs.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use remaster_testkit::{Behaviour, Receiver, RedisServer, body};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use serde_json::Value;

use crate::harness::{Server, photo};

const CLIENTS: u8 = 50;
const WORKERS: usize = 3;
const RESTARTS: u32 = 3;
/// How long all jobs may take.
const DEADLINE: Duration = Duration::from_secs(600);
/// The interval at which workers are killed. The first is killed sooner, because a fast machine finishes early.
const KILL_INTERVAL: Duration = Duration::from_secs(1);
const FIRST_KILL: Duration = Duration::from_millis(300);

/// A caller with a client address of its own.
struct Caller {
    http: Client,
    bases: [String; 2],
    /// The URL for webhooks.
    hook: String,
    rng: SmallRng,
}

impl Caller {
    fn new(number: u8, bases: [String; 2], hook: String) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 1, number));
        let http = Client::builder().local_address(address).timeout(Duration::from_secs(30)).build().unwrap();
        Self { http, bases, hook, rng: SmallRng::seed_from_u64(number.into()) }
    }

    fn base(&mut self) -> String {
        self.bases[self.rng.random_range(0..2)].clone()
    }

    /// Submits until `jobs` are accepted. A submission that is refused because Redis is down is repeated.
    async fn submit(&mut self, jobs: usize, picture: &[u8]) -> Vec<String> {
        let mut ids = Vec::new();
        let deadline = Instant::now() + DEADLINE;
        while ids.len() < jobs {
            assert!(Instant::now() < deadline, "{} of {jobs} jobs are accepted", ids.len());
            let form = Form::new().part("file", Part::bytes(picture.to_vec()));
            let url = format!("{}/jobs?background=false&webhook_url={}", self.base(), self.hook);
            let answer = self.http.post(url).multipart(form).send().await.unwrap();
            match answer.status() {
                StatusCode::ACCEPTED => {
                    let job: Value = answer.json().await.unwrap();
                    ids.push(job["id"].as_str().unwrap().to_owned());
                }
                StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(Duration::from_millis(100)).await,
                other => panic!("{other}: {}", answer.text().await.unwrap()),
            }
        }
        ids
    }

    async fn get(&mut self, path: &str) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < deadline, "{path} is not answered");
            let url = format!("{}{path}", self.base());
            let answer = self.http.get(url).send().await.unwrap();
            match answer.status() {
                StatusCode::OK => return answer.json().await.unwrap(),
                StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(Duration::from_millis(100)).await,
                other => panic!("{path}: {other}"),
            }
        }
    }

    /// The quota, once refused submissions have been refunded.
    async fn settled_quota(&mut self, expected: usize) -> Value {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let quota = self.get("/quota").await;
            if quota["used"] == expected || Instant::now() > deadline {
                return quota;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// How many jobs ended in each status.
    async fn ends(&mut self, ids: &[String]) -> HashMap<String, u64> {
        let mut ends = HashMap::new();
        for id in ids {
            let deadline = Instant::now() + DEADLINE;
            let job = loop {
                assert!(Instant::now() < deadline, "{id} does not end");
                let job = self.get(&format!("/jobs/{id}?wait=10")).await;
                if !matches!(job["status"].as_str(), Some("queued" | "processing")) {
                    break job;
                }
            };
            *ends.entry(job["status"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        ends
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_job_ends_once_although_processes_die() {
    remaster_shared::tls::install_default_provider();
    let jobs: usize = std::env::var("CHAOS_JOBS").map_or(1500, |jobs| jobs.parse().unwrap());
    let (folder, mut redis) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let storage = format!("file://{}/shared", folder.path().display());
    let settings = [
        ("REDIS_URL", redis.url().as_str()),
        ("STORAGE_URL", &storage),
        ("USE_REALESRGAN", "0"),
        ("LEASE", "3s"),
        ("WEBHOOK_ALLOW", "127.0.0.0/8"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    let node = |role: &str| Server::node(role, folder.path(), &settings);
    let apis = [node("api"), node("api")];
    let bases = [apis[0].base.clone(), apis[1].base.clone()];
    let mut workers: Vec<_> = (0..WORKERS).map(|_| node("worker")).collect();

    let receiver = Receiver::start(Behaviour::Respond("200 OK")).await;
    let picture = photo(24, 16);
    let each = jobs / usize::from(CLIENTS);
    let submitting = (1..=CLIENTS).map(|number| {
        let mut caller = Caller::new(number, bases.clone(), receiver.url("/"));
        let picture = picture.clone();
        tokio::spawn(async move {
            let ids = caller.submit(each, &picture).await;
            let ends = caller.ends(&ids).await;
            (caller, ids, ends)
        })
    });
    let submitting: Vec<_> = submitting.collect();
    let done = Arc::new(AtomicBool::new(false));
    let mut kills = 0;
    let began = Instant::now();
    let finished = {
        let done = done.clone();
        tokio::spawn(async move {
            let ended = futures::future::join_all(submitting).await;
            done.store(true, Ordering::SeqCst);
            ended
        })
    };
    let mut rng = SmallRng::seed_from_u64(1);
    let mut restarts = 0;
    while !done.load(Ordering::SeqCst) {
        assert!(began.elapsed() < DEADLINE, "the jobs do not end");
        tokio::time::sleep(if kills == 0 { FIRST_KILL } else { KILL_INTERVAL }).await;
        let victim = rng.random_range(0..WORKERS);
        workers[victim].signal("KILL");
        workers[victim] = node("worker");
        kills += 1;
        if restarts < RESTARTS {
            redis.restart();
            restarts += 1;
        }
    }
    println!("{jobs} jobs, {kills} workers killed, {restarts} restarts of Redis, {:?}", began.elapsed());
    assert!(kills > 0 && restarts > 0, "no worker was killed or Redis was not restarted");

    let mut all = HashSet::new();
    for ended in finished.await.unwrap() {
        let (mut caller, ids, ends) = ended.unwrap();
        assert_eq!(ends, HashMap::from([("succeeded".to_owned(), each as u64)]));
        all.extend(ids);
        // No refused submission stays charged, even if the answer of the store was lost.
        let quota = caller.settled_quota(each).await;
        assert_eq!(quota["used"], each);
    }
    assert_eq!(all.len(), each * usize::from(CLIENTS));
    // Delivery is at least once. A job whose submission was answered 503 may have ended before it was withdrawn.
    let (mut told, mut messages) = (HashSet::new(), 0);
    let everybody = async {
        while !all.is_subset(&told) {
            for request in receiver.received() {
                let event: Value = serde_json::from_str(body(&request)).unwrap();
                assert_eq!(event["type"], "job.succeeded");
                told.insert(event["data"]["id"].as_str().unwrap().to_owned());
                messages += 1;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), everybody).await.expect("the webhook of every job is delivered");
    println!("{messages} webhooks for {} jobs", told.len());
    let stats = apis[0].json("/stats").await;
    assert_eq!((stats["queue_depth"].as_u64(), stats["processing"].as_u64()), (Some(0), Some(0)), "{stats}");
    assert_eq!(stats["total_requests_today"], all.len());
}
