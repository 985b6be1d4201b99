//! What release 0.1 kept in Redis (`fixtures/release-0.1.jsonl`, a command a line) is used by this release, and its jobs go on.

use remaster_shared::clock::{ManualClock, from_millis};
use remaster_store::Policy;
use remaster_store::contract::{OldStore, the_jobs_of_an_old_store_go_on};
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
    let job = |command: &Vec<String>| {
        let input: serde_json::Value = serde_json::from_str(field(command, "input").unwrap()).unwrap();
        (input["filename"].as_str().unwrap().to_owned(), field(command, "id").unwrap().parse().unwrap())
    };
    let batch = of_jobs().find_map(|command| field(command, "batch")).unwrap().parse().unwrap();
    let old = OldStore { jobs: of_jobs().map(job).collect(), batch };
    let created = of_jobs().map(|command| field(command, "created").unwrap().parse::<i64>().unwrap()).max().unwrap();
    let clock = ManualClock::at(from_millis(created + 60_000));

    let store = RedisStore::with_clock(&server.url(), Policy::default(), 1, Some(clock)).await.unwrap();
    the_jobs_of_an_old_store_go_on(&store, &old).await;
}
