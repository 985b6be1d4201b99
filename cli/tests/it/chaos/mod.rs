//! Everything goes wrong under load: processes are killed and stopped, networks part, the storage fails, disks are full, clocks differ,
//! and replicas that lag take over. Every accepted job ends exactly once and in time, its result is whole, its webhook is delivered,
//! the quotas are right, and nothing is left behind.
//!
//! `CHAOS_SECONDS=3600 CHAOS_SEED=7 cargo nextest run --profile long -p remaster-cli chaos::every --no-capture` runs it for an hour.

mod attempts;
mod caller;
mod checker;
mod faults;
mod link;
mod nodes;
mod planted;
mod site;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::SmallRng;
use remaster_store::rules::job::INPUT_KEPT;
use remaster_testkit::{Behaviour, Receiver, S3Server};
use serde_json::Value;

use self::caller::Caller;
use self::checker::{Findings, violations};
use self::faults::{ALL, Fault, sequence};
use self::planted::{BUGS, Bug};
use self::site::Site;
use crate::harness::photo;

const CLIENTS: u8 = 50;
/// How long faults go on, unless it is said otherwise: long enough for each of them.
const SECONDS: u64 = 45;
/// How many attempts a job has, by default.
const MAX_ATTEMPTS: u32 = 3;
/// How long a job may take to end.
const PROMPT: Duration = Duration::from_secs(60);
/// How long it may take until the last webhook is delivered, and until what is left behind is deleted: longer than pictures belong
/// to a worker that was to delete them.
const SETTLED: Duration = Duration::from_secs(180);
/// Lets inputs be deleted that are kept for a while after their job's end.
const AGE_TRASH: &str = "for _, entry in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    redis.call('ZINCRBY', KEYS[1], -ARGV[1], entry)
end";
/// From the beginning of a fault to that of the next one: 30 a minute.
const PACE: Duration = Duration::from_secs(2);

/// A run.
struct Plan<'a> {
    clients: u8,
    time: Duration,
    seed: u64,
    faults: &'a [Fault],
    /// The time from one fault to the next one.
    pace: Duration,
    bug: Option<&'a Bug>,
    /// How long it waits for what does not happen.
    patience: Duration,
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|value| value.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_accepted_job_ends_once_whatever_goes_wrong() {
    let time = Duration::from_secs(setting("CHAOS_SECONDS").unwrap_or(SECONDS));
    let seed = setting("CHAOS_SEED").unwrap_or(1);
    let plan = Plan { clients: CLIENTS, time, seed, faults: &ALL, pace: PACE, bug: None, patience: SETTLED };
    let outcome = run(plan).await;
    println!("seed {seed}: {}", outcome.summary);
    assert!(outcome.faults >= ALL.len(), "not every fault happened");
    assert_eq!(outcome.violations, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bugs_of_the_store_are_found() {
    let [time, pace, patience] = [10_000, 2_500, 15_000].map(Duration::from_millis);
    let runs = BUGS.iter().map(|bug| {
        let plan = Plan { clients: 10, time, seed: 1, faults: bug.faults, pace, bug: Some(bug), patience };
        tokio::spawn(run(plan))
    });
    for (bug, run) in BUGS.iter().zip(runs.collect::<Vec<_>>()) {
        let found = run.await.unwrap().violations;
        assert!(found.iter().any(|violation| violation.contains(bug.said)), "{bug:?}: {found:?}");
    }
}

/// What came of a run.
struct Outcome {
    summary: String,
    /// How many faults there were.
    faults: usize,
    violations: Vec<String>,
}

/// Runs the service under load and faults.
async fn run(plan: Plan<'_>) -> Outcome {
    remaster_shared::tls::install_default_provider();
    let folder = tempfile::tempdir().unwrap();
    let mut site = Site::start(folder.path());
    if let Some(bug) = plan.bug {
        bug.plant(&site.redis);
    }
    let bases = [site.apis[0].server.base.clone(), site.apis[1].server.base.clone()];
    let receiver = Receiver::start(Behaviour::Respond("200 OK")).await;
    let picture = photo(24, 16);
    let callers = (1..=plan.clients).map(|number| {
        let caller = Caller::new(number, bases.clone(), receiver.url("/"), plan.patience);
        let (time, picture) = (plan.time, picture.clone());
        tokio::spawn(async move { caller.run(time, &picture).await })
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

    let (mut rng, began) = (SmallRng::seed_from_u64(plan.seed), Instant::now());
    let mut suffered = Vec::new();
    for fault in sequence(plan.faults, SmallRng::seed_from_u64(plan.seed)) {
        if done.load(Ordering::SeqCst) {
            break;
        }
        // Those that had to wait are made up for.
        site.pass((began + plan.pace * (1 + suffered.len() as u32)).max(Instant::now())).await;
        site.suffer(fault, &mut rng).await;
        suffered.push(fault);
    }
    site.recover().await;
    let mut callers: Vec<Caller> = finished.await.unwrap().into_iter().map(Result::unwrap).collect();
    let accepted: HashSet<_> = callers.iter().flat_map(|caller| caller.log.accepted.clone()).collect();
    let (jobs, faults, time) = (accepted.len(), suffered.len(), began.elapsed());
    let summary = format!("{jobs} jobs, {faults} faults in {time:?}: {suffered:?}");
    let told = told(&site, &receiver, &accepted, plan.patience).await;
    let mut taken_back = 0;
    for caller in &mut callers {
        taken_back += caller.hear_again(&told, &site.failovers).await;
        caller.read_quota().await;
    }
    let logs: Vec<_> = callers.iter().map(|caller| caller.log.clone()).collect();
    let summary = format!("{summary}; {taken_back} ends were taken back by failovers");
    // What every fault of a job's own workers has ended is poison, as it has to be. Every other job succeeds.
    let poisoned: Vec<_> = told.failures().filter(|(_, failure)| failure.is_poison).map(|(id, _)| id.clone()).collect();
    let unexplained = attempts::unexplained(&site.begun(), &site.blows, &poisoned);
    let poison: HashSet<_> = poisoned.into_iter().filter(|id| !unexplained.contains_key(id)).collect();
    let summary = format!("{summary}; jobs whose every attempt met a fault of its worker or of Redis: {poison:?}");
    let wrong = told.failures().filter(|(id, _)| !poison.contains(*id)).map(|(_, failure)| failure.words.clone());
    let findings = Findings {
        told: accepted.iter().filter(|id| told.succeeded(id)).cloned().collect(),
        failed: wrong.chain(unexplained.into_values()).collect(),
        poison,
        left: match plan.bug {
            None => left_behind(&site, &accepted, &mut callers[0]).await,
            Some(_) => Vec::new(),
        },
        longest: PROMPT,
    };
    let mut found = violations(&logs, &findings);
    let stats = site.apis[0].server.json("/stats").await;
    if (stats["queue_depth"].as_u64(), stats["processing"].as_u64()) != (Some(0), Some(0)) {
        found.push(format!("jobs are left in the queue: {stats}"));
    }
    if stats["total_requests_today"] != logs.iter().map(|log| log.used).sum::<u64>() {
        found.push(format!("the units of all clients do not add up: {stats}"));
    }
    Outcome { summary, faults, violations: found }
}

/// What webhooks said last of each job: that it succeeded, or how it failed.
#[derive(Default)]
struct Told(HashMap<String, Option<Failure>>);

/// What a webhook said of a job that did not succeed.
struct Failure {
    words: String,
    is_poison: bool,
}

impl Told {
    fn knows(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    fn succeeded(&self, id: &str) -> bool {
        matches!(self.0.get(id), Some(None))
    }

    fn failures(&self) -> impl Iterator<Item = (&String, &Failure)> {
        self.0.iter().filter_map(|(id, failure)| Some((id, failure.as_ref()?)))
    }
}

/// What webhooks said. Delivery is at least once, also of jobs whose submit was not answered.
async fn told(site: &Site, receiver: &Receiver, accepted: &HashSet<String>, at_most: Duration) -> Told {
    let (mut told, deadline) = (Told::default(), Instant::now() + at_most);
    // A job whose end was taken back ends once more, and somebody is told once more.
    let is_over = || {
        ["{rm}:act", "{rm}:delayed", "{rm}:leases", "{rm}:hooks"]
            .iter()
            .all(|key| site.redis.command(&["ZCARD", key]) == "0")
    };
    while Instant::now() < deadline {
        let is_over = is_over();
        for request in receiver.received() {
            // A node that died while it sent one has sent only a part of it; it is sent again.
            let whole = request.split_once("\r\n\r\n").and_then(|(_, body)| serde_json::from_str(body).ok());
            let Some::<Value>(event) = whole else { continue };
            let job = &event["data"];
            let id = job["id"].as_str().unwrap().to_owned();
            if event["type"] == "job.succeeded" {
                told.0.insert(id, None);
            } else {
                let answered = if accepted.contains(&id) { "" } else { ", whose submit was not answered" };
                let words = format!(
                    "a webhook says {} of {id}{answered}: {} after {} attempts",
                    event["type"], job["error"], job["attempt"]
                );
                let is_poison = job["error"]["code"] == "poison" && job["attempt"] == MAX_ATTEMPTS;
                told.0.insert(id, Some(Failure { words, is_poison }));
            }
        }
        if is_over && accepted.iter().all(|id| told.knows(id)) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    told
}

/// The pictures that are still stored though no job needs them, after the sweep for orphans.
async fn left_behind(site: &Site, accepted: &HashSet<String>, caller: &mut Caller) -> Vec<String> {
    // The sweep is due once more, and everything is as old as it has to be.
    site.s3.age(Duration::from_secs(3 * 3600));
    site.redis.command(&["DEL", "{rm}:sweep"]);
    site.redis.command(&["EVAL", AGE_TRASH, "1", "{rm}:trash", &INPUT_KEPT.as_millis().to_string()]);
    let (mut deadline, mut before) = (Instant::now() + SETTLED, Vec::new());
    loop {
        let mut left = Vec::new();
        for (kind, job) in pictures(&site.s3) {
            if kind == "outputs" && accepted.contains(&job) {
                continue;
            }
            match caller.status(&job).await.as_deref() {
                Some("succeeded") if kind == "outputs" => {}
                // An operator may queue a failed job again for as long as results are kept.
                Some("failed") if kind == "inputs" => {}
                status => left.push(format!("{kind}/{job} ({status:?})")),
            }
        }
        if left.is_empty() || Instant::now() > deadline {
            return left;
        }
        // A large storage takes the sweep its time: it is waited for as long as it gets on. Results that expire meanwhile come to what is
        // left, so their number tells nothing.
        if before.iter().any(|one| !left.contains(one)) {
            deadline = Instant::now() + SETTLED;
        }
        before = left;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// The kind and the job of each stored picture.
fn pictures(s3: &S3Server) -> Vec<(String, String)> {
    let part = |path: &std::path::Path, kind: &str| {
        let mut parts = path.iter().map(|part| part.to_string_lossy().into_owned());
        parts.by_ref().find(|part| part == kind).and_then(|kind| Some((kind, parts.next()?)))
    };
    s3.files().iter().filter_map(|path| part(path, "inputs").or_else(|| part(path, "outputs"))).collect()
}
