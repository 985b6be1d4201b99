//! What release 0.1 kept in Redis (`fixtures/release-0.1.jsonl`, a command a line) is used by this release, and its jobs go on.

use jiff::Timestamp;
use remaster_shared::blob_key::OutputName;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::{ManualClock, from_millis};
use remaster_shared::idempotency::FingerprintBuilder;
use remaster_shared::job::{BatchId, BatchStatus, JobId, Status};
use remaster_store::contract::{new_job, request, result};
use remaster_store::{
    Beat, Claim, HookRoom, Idempotency, Jobs, NewJobs, Outbox, Outcome, Policy, Submissions, WorkQueue,
};
use remaster_testkit::RedisServer;

use super::RedisStore;

/// The fixture's commands.
fn commands() -> Vec<Vec<String>> {
    include_str!("../fixtures/release-0.1.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The value of a field of a HSET command.
fn field<'a>(command: &'a [String], name: &str) -> Option<&'a str> {
    command[2..].chunks(2).find(|pair| pair[0] == name).map(|pair| pair[1].as_str())
}

#[tokio::test]
async fn a_store_of_release_0_1_opens() {
    let server = RedisServer::start();
    let commands = commands();
    for command in &commands {
        let status = std::process::Command::new("redis-cli")
            .args(["-p", &server.port().to_string()])
            .args(command)
            .stdout(std::process::Stdio::null())
            .status();
        assert!(status.unwrap().success(), "{command:?}");
    }
    let of_jobs = || commands.iter().filter(|command| command[1].starts_with("{rm}:j:"));
    let id = |name: &str| {
        let has_it = |command: &&Vec<String>| field(command, "input").unwrap().contains(&format!("\"{name}\""));
        field(of_jobs().find(has_it).unwrap(), "id").unwrap().parse::<JobId>().unwrap()
    };
    let batch: BatchId = of_jobs().find_map(|command| field(command, "batch")).unwrap().parse().unwrap();
    let created = of_jobs().map(|command| field(command, "created").unwrap().parse::<i64>().unwrap()).max().unwrap();
    let now: Timestamp = from_millis(created + 60_000);
    let clock = ManualClock::at(now);

    let store = RedisStore::with_clock(&server.url(), Policy::default(), Some(clock)).await.unwrap();
    let job = async |name: &str| store.get(id(name)).await.unwrap().unwrap();
    let succeeded = job("succeeded.jpg").await;
    assert_eq!((succeeded.status, succeeded.output), (Status::Succeeded, Some(OutputName::Attempt(1))));
    assert_eq!(succeeded.result.unwrap().width, 2000);
    assert_eq!(job("failed.jpg").await.status, Status::Failed);
    assert_eq!(job("canceled.jpg").await.status, Status::Canceled);
    assert_eq!(job("refused.txt").await.status, Status::Failed);
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.queued, stats.processing), (4, 1));

    // A key of before stands for its job.
    let again = Idempotency {
        key: "again".parse().unwrap(),
        fingerprint: FingerprintBuilder::new().part("file", b"a").finish(),
    };
    let new = NewJobs { idempotency: Some(again), ..NewJobs::new(ClientKey([1; 16]), vec![new_job()]) };
    let submitted = store.submit(new).await.unwrap();
    assert_eq!((submitted.replayed, submitted.jobs[0].id), (true, id("succeeded.jpg")));

    // Every job that had not ended is worked on: the queued ones, the retry, and the one whose worker is gone.
    let mut claimed = Vec::new();
    while let Claim::Job(job, lease) = store.claim(&request()).await.unwrap() {
        assert_eq!(store.heartbeat(&lease).await.unwrap(), Beat::GoOn);
        claimed.push((job.input.filename.unwrap(), job.attempt));
        store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    }
    claimed.sort();
    let expected =
        [("batch-1.jpg", 1), ("batch-2.jpg", 1), ("processing.jpg", 2), ("queued.jpg", 1), ("retried.jpg", 2)];
    assert_eq!(claimed, expected.map(|(name, attempt)| (name.to_owned(), attempt)));
    let batch = store.batch(batch).await.unwrap().unwrap();
    assert_eq!((batch.status(), batch.counts().succeeded, batch.counts().failed), (BatchStatus::Finished, 2, 1));
    let room = HookRoom { total: 10, per_host: 10, ..HookRoom::default() };
    let mut hosts: Vec<_> =
        store.due_hooks(room).await.unwrap().due.iter().map(|hook| hook.target.host().to_owned()).collect();
    hosts.sort();
    assert_eq!(hosts, ["hooks1.example.org", "hooks2.example.org"]);
}
