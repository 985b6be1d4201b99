//! A caller of the service, which keeps a log of what it was told.

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, StatusCode};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Told;
use super::attempts::Blow;
use super::checker::{End, Log};

/// How often a caller asks again.
const AGAIN: Duration = Duration::from_millis(100);
/// How long a request that has no answer may be asked again, whatever goes wrong.
const ANSWERED: Duration = Duration::from_secs(90);

/// How many jobs of a caller wait at once.
const AT_ONCE: usize = 10;

/// A caller with a client address of its own.
pub struct Caller {
    http: Client,
    bases: [String; 2],
    /// The URL for webhooks.
    hook: String,
    /// Whether it sends an idempotency key, and so may repeat a submit whose answer did not come.
    has_keys: bool,
    /// How long it waits for the end of its jobs.
    patience: Duration,
    rng: SmallRng,
    pub log: Log,
}

impl Caller {
    pub fn new(number: u8, bases: [String; 2], hook: String, patience: Duration) -> Self {
        let address = IpAddr::V4(Ipv4Addr::new(127, 0, 1, number));
        let http = Client::builder().local_address(address).timeout(Duration::from_secs(30)).build().unwrap();
        let rng = SmallRng::seed_from_u64(number.into());
        let log = Log { client: number, ..Log::default() };
        Self { http, bases, hook, has_keys: number.is_multiple_of(2), patience, rng, log }
    }

    /// Submits some jobs and waits for them, again and again until `time` is over.
    pub async fn run(mut self, time: Duration, picture: &[u8]) -> Self {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.submit(AT_ONCE, picture).await;
            self.follow().await;
        }
        self
    }

    fn base(&mut self) -> String {
        self.bases[self.rng.random_range(0..2)].clone()
    }

    /// Submits until so many more jobs are accepted.
    async fn submit(&mut self, jobs: usize, picture: &[u8]) {
        let enough = self.log.accepted.len() + jobs;
        let mut deadline = Instant::now() + ANSWERED;
        let mut key = self.rng.random::<u64>();
        while self.log.accepted.len() < enough {
            assert!(Instant::now() < deadline, "{} of {enough} jobs are accepted", self.log.accepted.len());
            let form = Form::new().part("file", Part::bytes(picture.to_vec()));
            let url = format!("{}/jobs?background=false&webhook_url={}", self.base(), self.hook);
            let mut request = self.http.post(url).multipart(form);
            if self.has_keys {
                request = request.header("Idempotency-Key", key.to_string());
            }
            // Whether a submit without an answer arrived is not known: with a key it is asked again.
            let answer = match request.send().await {
                Ok(answer) => Some((answer.status(), answer.json::<Value>().await)),
                Err(_) => None,
            };
            match answer {
                Some((StatusCode::ACCEPTED, Ok(job))) => {
                    self.log.accepted.push(job["id"].as_str().unwrap().to_owned());
                    key = self.rng.random();
                    deadline = Instant::now() + ANSWERED;
                }
                Some((StatusCode::SERVICE_UNAVAILABLE, Ok(_))) => tokio::time::sleep(AGAIN).await,
                Some((other, Ok(body))) => panic!("{other}: {body}"),
                Some((_, Err(_))) | None => {
                    self.log.unanswered += u64::from(!self.has_keys);
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }

    /// The answer to a GET, asked again as long as the service or the storage is down.
    async fn get(&mut self, path: &str) -> (StatusCode, Vec<u8>) {
        let deadline = Instant::now() + ANSWERED;
        loop {
            assert!(Instant::now() < deadline, "{path} is not answered");
            let url = format!("{}{path}", self.base());
            if let Ok(answer) = self.http.get(url).send().await {
                let status = answer.status();
                if let Ok(bytes) = answer.bytes().await
                    && !status.is_server_error()
                {
                    return (status, bytes.to_vec());
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    }

    async fn json(&mut self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, StatusCode::OK, "{path}");
        serde_json::from_slice(&body).unwrap()
    }

    /// Waits for every job's end, and fetches every result. A job that does not end is left out.
    async fn follow(&mut self) {
        let deadline = Instant::now() + self.patience;
        for id in self.log.accepted.clone() {
            while !self.log.ends.contains_key(&id) && Instant::now() < deadline {
                if let Some(end) = self.end(&id).await {
                    self.log.ends.insert(id.clone(), end);
                }
            }
        }
    }

    /// How the job ended, if it has. A failover may take back an end that was told, and then there is no result any more.
    async fn end(&mut self, id: &str) -> Option<End> {
        let job = self.json(&format!("/jobs/{id}?wait=10")).await;
        let heard = Instant::now();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let status = text(&job["status"]);
        let given = match status.as_str() {
            "queued" | "processing" => return None,
            "succeeded" => match self.get(&format!("/jobs/{id}/result")).await {
                (StatusCode::OK, bytes) => hex::encode(Sha256::digest(bytes)),
                (StatusCode::NOT_FOUND | StatusCode::CONFLICT, _) => {
                    tokio::time::sleep(AGAIN).await;
                    return None;
                }
                (other, _) => panic!("the result of {id}: {other}"),
            },
            _ => String::new(),
        };
        let time = |name: &str| text(&job[name]).parse::<Timestamp>().unwrap();
        let took = time("finished_at").duration_since(time("created_at")).unsigned_abs();
        let hashes = (text(&job["result"]["sha256"]), given);
        Some(End { status, took, heard, hashes })
    }

    /// Hears again how jobs ended that ended otherwise, as a webhook said later: a failover has taken back the end that was heard first.
    /// Returns how many there were.
    pub async fn hear_again(&mut self, told: &Told, failovers: &[Blow]) -> usize {
        let is_taken_back = |id: &str, end: &End| {
            told.succeeded(id) != (end.status == "succeeded") && failovers.iter().any(|blow| blow.covers(end.heard))
        };
        let taken_back = self.log.ends.extract_if(|id, end| is_taken_back(id, end)).count();
        if taken_back > 0 {
            self.follow().await;
        }
        taken_back
    }

    /// Reads the quota, once refused submits have been refunded.
    pub async fn read_quota(&mut self) {
        let deadline = Instant::now() + self.patience.min(Duration::from_secs(75));
        loop {
            self.log.used = self.json("/quota").await["used"].as_u64().unwrap();
            let accepted = self.log.accepted.len() as u64;
            if self.log.used <= accepted + self.log.unanswered || Instant::now() > deadline {
                return;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// The status of the job, if the service knows it.
    pub async fn status(&mut self, id: &str) -> Option<String> {
        let (_, body) = self.get(&format!("/jobs/{id}")).await;
        let job: Value = serde_json::from_slice(&body).ok()?;
        job["id"].is_string().then(|| job["status"].as_str().unwrap_or_default().to_owned())
    }
}
