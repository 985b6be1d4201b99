//! Everything goes wrong under load: processes are killed and stopped, and Redis with them. Every accepted job ends exactly once, its
//! result is whole, its webhook is delivered, and the quotas are right.
//!
//! `CHAOS_JOBS=5000 CHAOS_SEED=7 cargo nextest run -p remaster-cli chaos --no-capture` runs it with more jobs and other faults.

mod checker;
mod faults;

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use remaster_testkit::{Behaviour, Receiver, RedisServer};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use self::checker::{End, Log, violations};
use self::faults::{Fault, LEASE, Site};
use crate::harness::{Server, photo};

const CLIENTS: u8 = 50;
const WORKERS: usize = 3;
/// How long all jobs may take.
const DEADLINE: Duration = Duration::from_secs(600);
/// The pause between faults. The first comes sooner, because a fast machine finishes early.
const PAUSE: Duration = Duration::from_secs(1);
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// How often a caller asks again.
const AGAIN: Duration = Duration::from_millis(100);

/// A caller with a client address of its own.
struct Caller {
    http: Client,
    bases: [String; 2],
    /// The URL for webhooks.
    hook: String,
    /// Whether it sends an idempotency key, and so may repeat a submit whose answer did not come.
    has_keys: bool,
    rng: SmallRng,
    log: Log,
}

impl Caller {
    fn new(number: u8, bases: [String; 2], hook: String) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 1, number));
        let http = Client::builder().local_address(address).timeout(Duration::from_secs(30)).build().unwrap();
        let rng = SmallRng::seed_from_u64(number.into());
        let log = Log { client: number, ..Log::default() };
        Self { http, bases, hook, has_keys: number.is_multiple_of(2), rng, log }
    }

    fn base(&mut self) -> String {
        self.bases[self.rng.random_range(0..2)].clone()
    }

    /// Submits until `jobs` are accepted.
    async fn submit(&mut self, jobs: usize, picture: &[u8]) {
        let deadline = Instant::now() + DEADLINE;
        let mut key = self.rng.random::<u64>();
        while self.log.accepted.len() < jobs {
            assert!(Instant::now() < deadline, "{} of {jobs} jobs are accepted", self.log.accepted.len());
            let form = Form::new().part("file", Part::bytes(picture.to_vec()));
            let url = format!("{}/jobs?background=false&webhook_url={}", self.base(), self.hook);
            let mut request = self.http.post(url).multipart(form);
            if self.has_keys {
                request = request.header("Idempotency-Key", key.to_string());
            }
            let answer = match request.send().await {
                Ok(answer) => answer,
                // Whether it arrived is not known: with a key it is asked again.
                Err(_) => {
                    self.log.unanswered += u64::from(!self.has_keys);
                    tokio::time::sleep(AGAIN).await;
                    continue;
                }
            };
            let status = answer.status();
            let Ok(job) = answer.json::<Value>().await else {
                self.log.unanswered += u64::from(!self.has_keys);
                continue;
            };
            match status {
                StatusCode::ACCEPTED => {
                    self.log.accepted.push(job["id"].as_str().unwrap().to_owned());
                    key = self.rng.random();
                }
                StatusCode::SERVICE_UNAVAILABLE => tokio::time::sleep(AGAIN).await,
                other => panic!("{other}: {job}"),
            }
        }
    }

    /// The answer to a GET, asked again as long as the service is down.
    async fn get(&mut self, path: &str) -> Vec<u8> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            assert!(Instant::now() < deadline, "{path} is not answered");
            let url = format!("{}{path}", self.base());
            if let Ok(answer) = self.http.get(url).send().await {
                match answer.status() {
                    StatusCode::OK => {
                        if let Ok(bytes) = answer.bytes().await {
                            return bytes.to_vec();
                        }
                    }
                    StatusCode::SERVICE_UNAVAILABLE => {}
                    other => panic!("{path}: {other}"),
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn json(&mut self, path: &str) -> Value {
        serde_json::from_slice(&self.get(path).await).unwrap()
    }

    /// Waits for every job's end, and fetches every result.
    async fn follow(&mut self) {
        for id in self.log.accepted.clone() {
            let deadline = Instant::now() + DEADLINE;
            let job = loop {
                assert!(Instant::now() < deadline, "{id} does not end");
                let job = self.json(&format!("/jobs/{id}?wait=10")).await;
                if !matches!(job["status"].as_str(), Some("queued" | "processing")) {
                    break job;
                }
            };
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let given = match job["status"].as_str() {
                Some("succeeded") => hex::encode(Sha256::digest(self.get(&format!("/jobs/{id}/result")).await)),
                _ => String::new(),
            };
            let hashes = (text(&job["result"]["sha256"]), given);
            let end = End { status: text(&job["status"]), attempt: job["attempt"].as_u64().unwrap(), hashes };
            self.log.ends.insert(id, end);
        }
    }

    /// Reads the quota, once refused submits have been refunded.
    async fn read_quota(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(75);
        loop {
            self.log.used = self.json("/quota").await["used"].as_u64().unwrap();
            let accepted = self.log.accepted.len() as u64;
            if self.log.used <= accepted + self.log.unanswered || Instant::now() > deadline {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_job_ends_once_whatever_goes_wrong() {
    remaster_shared::tls::install_default_provider();
    let (jobs, seed) = (setting("CHAOS_JOBS", 1500) as usize, setting("CHAOS_SEED", 1));
    let (folder, redis) = (tempfile::tempdir().unwrap(), RedisServer::start());
    let settings = [
        ("REDIS_URL", redis.url()),
        ("STORAGE_URL", format!("file://{}/shared", folder.path().display())),
        ("USE_REALESRGAN", "0".into()),
        ("LEASE", humantime::format_duration(LEASE).to_string()),
        ("WEBHOOK_ALLOW", "127.0.0.0/8".into()),
    ]
    .map(|(name, value)| (name.to_owned(), value));
    let start = |role: &str, address: Option<&str>| {
        let mut settings = settings.to_vec();
        settings.extend(address.map(|address| ("BIND".to_owned(), address.to_owned())));
        Server::node(role, folder.path(), &settings)
    };
    let apis = vec![start("api", None), start("api", None)];
    let workers = (0..WORKERS).map(|_| start("worker", None)).collect();
    let bases = [apis[0].base.clone(), apis[1].base.clone()];
    let mut site = Site { redis, apis, workers, start: &start };

    let receiver = Receiver::start(Behaviour::Respond("200 OK")).await;
    let picture = photo(24, 16);
    let each = jobs / usize::from(CLIENTS);
    let callers = (1..=CLIENTS).map(|number| {
        let mut caller = Caller::new(number, bases.clone(), receiver.url("/"));
        let picture = picture.clone();
        tokio::spawn(async move {
            caller.submit(each, &picture).await;
            caller.follow().await;
            caller
        })
    });
    let callers: Vec<_> = callers.collect();
    let done = Arc::new(AtomicBool::new(false));
    let finished = tokio::spawn({
        let done = done.clone();
        async move {
            let ended = futures::future::join_all(callers).await;
            done.store(true, Ordering::SeqCst);
            ended
        }
    });

    let (mut rng, began) = (SmallRng::seed_from_u64(seed), Instant::now());
    let mut suffered = Vec::new();
    while !done.load(Ordering::SeqCst) {
        assert!(began.elapsed() < DEADLINE, "the jobs do not end");
        tokio::time::sleep(if suffered.is_empty() { FIRST_PAUSE } else { PAUSE }).await;
        let fault = Fault::next(suffered.len(), &mut rng);
        site.suffer(fault, &mut rng).await;
        suffered.push(fault);
    }
    let costly = suffered.iter().filter(|fault| fault.costs_attempts()).count() as u64;
    println!("{jobs} jobs, seed {seed}, {} faults in {:?}: {suffered:?}", suffered.len(), began.elapsed());
    assert!(suffered.len() >= 4, "hardly anything went wrong");

    let mut logs = Vec::new();
    for ended in finished.await.unwrap() {
        let mut caller = ended.unwrap();
        caller.read_quota().await;
        logs.push(caller.log);
    }
    let all: HashSet<_> = logs.iter().flat_map(|log| log.accepted.clone()).collect();
    // Delivery is at least once, also of jobs whose submit was not answered.
    let mut told = HashSet::new();
    let everybody = async {
        while !all.is_subset(&told) {
            for request in receiver.received() {
                // A node that died while it sent one has sent only a part of it; it is sent again.
                let whole = request.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
                let Some::<Value>(event) = whole else { continue };
                assert_eq!(event["type"], "job.succeeded");
                told.insert(event["data"]["id"].as_str().unwrap().to_owned());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let _ = tokio::time::timeout(Duration::from_secs(120), everybody).await;
    assert_eq!(violations(&logs, &told, costly), [""; 0]);
    let stats = site.apis[0].json("/stats").await;
    assert_eq!((stats["queue_depth"].as_u64(), stats["processing"].as_u64()), (Some(0), Some(0)), "{stats}");
    assert_eq!(stats["total_requests_today"], logs.iter().map(|log| log.used).sum::<u64>());
}
