//! `kill -9` in the middle of a job: no accepted job is lost, and none is charged or finished twice.

use remaster_testkit::SMALL_MODEL;
use serde_json::{Value, json};

use crate::harness::{Server, photo};

const JOBS: usize = 6;

#[tokio::test]
async fn every_accepted_job_finishes_once_after_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let mut ids = Vec::new();
    for _ in 0..JOBS {
        let answer = server.post(&format!("/jobs?scale=4&model={SMALL_MODEL}"), photo(380, 300)).await;
        assert_eq!(answer.status(), 202);
        let job: Value = answer.json().await.unwrap();
        ids.push(job["id"].as_str().unwrap().to_owned());
    }
    // At this moment at least one job is being processed.
    server.eventually("/stats", |stats| stats["processing"].as_u64() > Some(0)).await;
    server.signal("KILL");
    server.child.wait().unwrap();

    let server = Server::start(folder.path());
    let mut attempts = 0;
    for id in &ids {
        let job = server.finished(id).await;
        assert_eq!((&job["status"], &job["result"]["width"]), (&json!("succeeded"), &json!(1520)), "{job}");
        attempts += job["attempt"].as_u64().unwrap();
    }
    assert!(attempts > JOBS as u64, "the kill came in the middle of a job");
    let quota = server.json("/quota").await;
    assert_eq!(quota["used"], JOBS);
    let stats = server.json("/stats").await;
    assert_eq!((&stats["queue_depth"], &stats["processing"]), (&json!(0), &json!(0)));
    for id in ids {
        let outputs = std::fs::read_dir(folder.path().join("data/blobs/outputs").join(&id)).unwrap();
        assert_eq!(outputs.count(), 1, "one result of {id}");
    }
}

#[tokio::test]
async fn a_stop_gives_running_jobs_as_long_as_it_is_told_to() {
    for (grace, ends) in [("0s", false), ("60s", true)] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::start_with(folder.path(), &[("JOB_GRACE", grace)]);
        let answer = server.post(&format!("/jobs?scale=4&faces=off&model={SMALL_MODEL}"), photo(1000, 800)).await;
        let path = format!("/jobs/{}", answer.json::<Value>().await.unwrap()["id"].as_str().unwrap());
        let running = server.eventually(&path, |job| job["status"] == "processing").await;
        server.signal("TERM");
        assert!(server.child.wait().unwrap().success());

        let server = Server::start(folder.path());
        let job = server.finished(path.rsplit('/').next().unwrap()).await;
        assert_eq!((&job["status"], &job["attempt"]), (&json!("succeeded"), &json!(1)), "{job}");
        assert_eq!(job["started_at"] == running["started_at"], ends, "{grace}: {running} and then {job}");
    }
}
