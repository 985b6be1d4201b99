//! `remaster jobs`: what an operator does to a running service by hand.

use std::time::Duration;

use remaster_testkit::{Behaviour, Receiver};
use serde_json::{Value, json};

use crate::harness::{photo, remaster, run, stderr};
use crate::site::Site;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_operator_pauses_drains_queues_again_and_sends_again() {
    let site = Site::new();
    // A worker node's only port is the one for operators.
    let (api, worker) = (site.node_with("api", &[("WEBHOOK_ALLOW", "127.0.0.0/8")]), site.node("worker"));
    let jobs = |words: &[&str]| {
        let mut command = remaster(site.folder.path());
        command.arg("jobs").args(words).env("ADMIN_URL", &worker.base);
        let done = run(&mut command);
        assert!(done.status.success(), "{words:?}: {}", stderr(&done));
        serde_json::from_slice::<Value>(&done.stdout).unwrap()
    };
    let receiver = Receiver::start(Behaviour::Respond("200 OK")).await;
    let submit = async |picture: Vec<u8>| -> String {
        let url = format!("/jobs?background=false&webhook_url={}", receiver.url("/"));
        let job: Value = api.post(&url, picture).await.json().await.unwrap();
        job["id"].as_str().unwrap().to_owned()
    };
    api.eventually("/stats", |stats| stats["workers"] == 1).await;

    jobs(&["pause"]);
    let waiting = submit(photo(64, 48)).await;
    let queue = jobs(&["queue"]);
    assert_eq!((&queue["paused"], &queue["queued"]), (&json!(true), &json!(1)), "{queue}");
    assert_eq!(jobs(&["list", "--status", "queued"])[0]["id"], *waiting);
    assert_eq!(jobs(&["show", &waiting])["status"], "queued");
    jobs(&["resume"]);
    assert_eq!(api.finished(&waiting).await["status"], "succeeded");

    let name = queue["workers"][0]["name"].as_str().unwrap().to_owned();
    jobs(&["drain", &name]);
    let held = submit(photo(64, 48)).await;
    assert_eq!(jobs(&["show", &held])["status"], "queued");
    jobs(&["resume", &name]);
    assert_eq!(api.finished(&held).await["status"], "succeeded");

    let told = async || receiver.next(Duration::from_secs(20)).await;
    assert!(told().await.contains(&waiting) && told().await.contains(&held));
    jobs(&["resend", &held]);
    assert!(told().await.contains(&held));

    assert_eq!(jobs(&["quota", "127.0.0.1"])["used"], 2);
    assert_eq!(jobs(&["quota", "127.0.0.1", "--give-back", "1"])["used"], 1);
    assert_eq!(jobs(&["list"]), json!([]));

    let mut command = remaster(site.folder.path());
    let refused = run(command.args(["jobs", "show", "nothing"]).env("ADMIN_URL", &worker.base));
    assert_eq!(refused.status.code(), Some(1));
    assert!(stderr(&refused).starts_with("error: /jobs/nothing: "), "{}", stderr(&refused));
}
