//! Nodes of one role each, with a real redis-server and a real S3 server.

use std::time::{Duration, Instant};

use remaster_testkit::SMALL_MODEL;
use reqwest::redirect::Policy;
use serde_json::{Value, json};

use crate::harness::{photo, remaster, run, stderr};
use crate::site::Site;

fn submit_path() -> String {
    format!("/jobs?scale=2&model={SMALL_MODEL}")
}

#[test]
fn a_node_of_one_role_refuses_what_it_cannot_share() {
    let folder = tempfile::tempdir().unwrap();
    let redis = ("REDIS_URL", "redis://127.0.0.1:1");
    let cases: [(&[(&str, &str)], &str); 4] = [
        (&[], "REDIS_URL is not set"),
        (&[("STORAGE_URL", "s3://photos")], "REDIS_URL is not set"),
        (&[redis], "STORAGE_URL is not set"),
        (&[redis, ("STORAGE_URL", "memory:///")], "no other node can read"),
    ];
    for role in ["api", "worker"] {
        for (settings, says) in cases {
            let output = run(remaster(folder.path()).arg(role).envs(settings.iter().copied()));
            let line = stderr(&output);
            assert_eq!((output.status.code(), line.lines().count()), (Some(2), 1), "{line}");
            assert!(line.contains(says) && line.contains("docs/operations.md"), "{line}");
        }
    }
}

#[tokio::test]
async fn two_apis_and_two_workers_are_one_service() {
    let site = Site::new();
    let (one, other) = (site.node("api"), site.node("api"));
    let refused = one.post(&submit_path(), photo(64, 48)).await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "model_unavailable");
    assert_eq!(one.json("/ready").await["workers"], "none seen");

    let workers = [site.node("worker"), site.node("worker")];
    let stats = one.eventually("/stats", |stats| stats["workers"] == 2).await;
    let fleet = stats["fleet"].as_array().unwrap();
    assert!(fleet.iter().all(|worker| worker["models"].as_array().unwrap().contains(&json!(SMALL_MODEL))), "{stats}");
    other.eventually("/ready", |ready| ready["status"] == "ok").await;
    let models = other.eventually("/models", |_| true).await;
    let small = models["models"].as_array().unwrap().iter().find(|model| model["id"] == SMALL_MODEL).unwrap();
    assert_eq!((&small["installed"], &small["workers"]), (&json!(true), &json!(2)));

    let mut ids = Vec::new();
    for api in [&one, &other].into_iter().cycle().take(8) {
        let answer = api.post(&submit_path(), photo(64, 48)).await;
        assert_eq!(answer.status(), 202);
        ids.push(answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    let has_runtime = |maps: &str| ["libonnxruntime", "libopenvino"].iter().any(|name| maps.contains(name));
    for id in &ids {
        // The other node may have accepted the job.
        assert_eq!(other.finished(id).await["status"], "succeeded");
    }
    assert_eq!(one.json("/quota").await["used"], 8);
    for worker in &workers {
        assert_eq!(worker.json("/health").await["status"], "ok");
        let metrics = worker.http.get(worker.url("/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("remaster_jobs_settled_total{status=\"succeeded\"}"), "both worked: {metrics}");
        assert_eq!(worker.http.get(worker.url("/quota")).send().await.unwrap().status(), 404);
        assert!(has_runtime(&worker.maps()));
    }
    assert!(!has_runtime(&one.maps()));

    // The result is downloaded from the storage itself.
    let direct = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let answer = direct.get(one.url(&format!("/jobs/{}/result", ids[0]))).send().await.unwrap();
    assert_eq!(answer.status(), 307);
    let location = answer.headers()["location"].to_str().unwrap().to_owned();
    assert!(location.starts_with(&site.s3.endpoint()) && location.contains("X-Amz-Signature="), "{location}");
    let picture = direct.get(location).send().await.unwrap();
    assert_eq!((picture.status().as_u16(), picture.headers()["content-type"].to_str().unwrap()), (200, "image/png"));
    let image = image::load_from_memory(&picture.bytes().await.unwrap()).unwrap();
    assert_eq!((image.width(), image.height()), (128, 96));
    let enhanced = one.post(&format!("/enhance?scale=2&model={SMALL_MODEL}"), photo(64, 48)).await;
    assert_eq!((enhanced.status().as_u16(), enhanced.headers()["content-type"].to_str().unwrap()), (200, "image/png"));
}

/// The storage fails while the only worker has a job.
#[tokio::test]
async fn a_worker_that_takes_no_jobs_says_so_and_takes_them_again_by_itself() {
    let site = Site::new();
    let (api, worker) = (site.node("api"), site.node("worker"));
    api.eventually("/ready", |ready| ready["status"] == "ok").await;
    worker.signal("STOP");
    let job: Value = api.post("/jobs?background=false", photo(64, 48)).await.json().await.unwrap();
    site.s3.set_failing(true);
    worker.signal("CONT");
    api.eventually("/stats", |stats| stats["fleet"][0]["paused"] == true).await;
    let ready = api.eventually("/ready", |ready| ready["workers"] != "ok").await;
    assert_eq!(ready["workers"], "all paused after a fault of their own");
    let metrics = async || api.http.get(api.url("/metrics")).send().await.unwrap().text().await.unwrap();
    assert!(metrics().await.contains("\nremaster_workers_paused 1\n"));

    site.s3.set_failing(false);
    let done = api.finished(job["id"].as_str().unwrap()).await;
    assert_eq!((&done["status"], &done["attempt"]), (&json!("succeeded"), &json!(1)));
    api.eventually("/stats", |stats| stats["fleet"][0]["paused"] == false).await;
    api.eventually("/ready", |ready| ready["status"] == "ok").await;
    assert!(metrics().await.contains("\nremaster_workers_paused 0\n"));
}

#[tokio::test]
async fn while_the_storage_is_down_nothing_is_charged_or_stored() {
    let mut site = Site::new();
    let (api, _worker) = (site.node("api"), site.node("worker"));
    api.eventually("/ready", |ready| ready["status"] == "ok").await;
    site.s3.stop();
    let began = Instant::now();
    let refused = api.post(&submit_path(), photo(64, 48)).await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "storage_unavailable");
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    api.eventually("/ready", |ready| ready["storage"] == "unreachable").await;
    assert_eq!(api.json("/quota").await["used"], 0);

    site.s3.restart();
    let accepted: Value = api.post(&submit_path(), photo(64, 48)).await.json().await.unwrap();
    assert_eq!(api.finished(accepted["id"].as_str().unwrap()).await["status"], "succeeded");
    assert_eq!(api.json("/quota").await["used"], 1);
    let unfinished = site.s3.files().into_iter().filter(|file| file.to_string_lossy().contains("upload"));
    assert_eq!(unfinished.collect::<Vec<_>>(), Vec::<std::path::PathBuf>::new());
}

#[tokio::test]
async fn an_idle_worker_sends_redis_less_than_two_commands_a_second() {
    let site = Site::new();
    let worker = site.node("worker");
    assert_eq!(worker.json("/health").await["status"], "ok");
    site.until_quiet().await;
    let before = site.commands();
    // The time over which commands are counted.
    tokio::time::sleep(Duration::from_secs(12)).await;
    // The second INFO command is not the worker's.
    let sent = site.commands() - before - 1;
    assert!(sent < 24, "{sent} commands in 12 s");
}
