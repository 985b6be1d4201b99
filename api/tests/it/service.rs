//! What the service says about itself.

use std::time::Instant;

use serde_json::{Value, json};

use crate::fixtures::png;
use crate::harness::{Harness, problem, until};

#[tokio::test]
async fn health_stats_models_and_quota() {
    let harness = Harness::new().await;
    let health = harness.json("/health").await;
    assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("remaster")));
    assert!(health["version"].as_str().unwrap().starts_with(env!("CARGO_PKG_VERSION")));
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    harness.submit().await;
    let mut stats = harness.json("/stats").await;
    assert!(stats["fleet"][0]["last_seen"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        stats,
        json!({"total_ips_today": 1, "total_requests_today": 1, "redis_connected": false, "daily_limit_per_ip": 100,
               "store": "sqlite", "queue_depth": 1, "processing": 0, "workers": 1,
               "fleet": [{"name": "w", "version": "0", "device": "cpu", "models": ["realesrgan-x4plus"], "jobs": 2,
                          "in_flight": 1, "paused": false, "last_seen": null}]})
    );
    let models = harness.json("/models").await;
    let model = |index: usize| {
        let model = &models["models"][index];
        (model["id"].as_str().unwrap(), model["installed"].as_bool().unwrap(), model["workers"].as_u64().unwrap())
    };
    assert_eq!([model(0), model(1)], [("realesrgan-x4plus", true, 1), ("absent", false, 0)]);
    let quota = harness.json("/quota").await;
    assert_eq!((&quota["used"], &quota["limit"], &quota["remaining"]), (&json!(1), &json!(100), &json!(99)));
}

#[tokio::test]
async fn ready_names_what_is_missing() {
    let harness = Harness::new().await;
    assert_eq!(harness.get("/ready").await.status(), 200);

    harness.announce(Vec::new()).await;
    let body = eventually_unready(&harness, "models").await;
    assert_eq!(body["models"], "no upscaler on any worker");
    assert_eq!((&body["store"], &body["storage"], &body["workers"]), (&json!("ok"), &json!("ok"), &json!("ok")));
    let response = harness.post("/jobs", Some(png(20, 10)), &[]).await;
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    assert_eq!(problem(response).await["code"], "model_unavailable");
    assert_eq!(harness.used().await, 0);
}

#[tokio::test]
async fn the_models_of_a_stopped_worker_are_remembered() {
    let harness = Harness::new().await;
    let mut gone = harness.store.workers().await.unwrap().remove(0).said;
    gone.stopping = true;
    harness.store.announce(&gone).await.unwrap();
    let body = eventually_unready(&harness, "workers").await;
    assert_eq!((&body["workers"], &body["models"]), (&json!("none seen"), &json!("ok")));
    // The worker may be restarting, so jobs are still accepted and wait for it.
    harness.submit().await;
}

/// However many requests need the fleet at once, the store is asked once per half second.
#[tokio::test]
async fn concurrent_requests_read_the_workers_once() {
    let harness = Harness::new().await;
    let began = Instant::now();
    let answers = futures::future::join_all((0..50).map(|_| harness.get("/models"))).await;
    assert!(answers.iter().all(|answer| answer.status() == 200));
    let most = 1 + began.elapsed().as_millis() as usize / 500;
    let reads = harness.counts.worker_reads();
    assert!((1..=most).contains(&reads), "{reads} reads in {:?}", began.elapsed());
}

/// Whoever asks whether the service is ready costs the store and the storage no more than two looks a second.
#[tokio::test]
async fn concurrent_requests_look_at_the_dependencies_once() {
    let harness = Harness::new().await;
    let began = Instant::now();
    let answers = futures::future::join_all((0..50).map(|_| harness.get("/ready"))).await;
    assert!(answers.iter().all(|answer| answer.status() == 200));
    let most = 1 + began.elapsed().as_millis() as usize / 500;
    let reads = harness.counts.stats_reads();
    assert!((1..=most).contains(&reads), "{reads} reads in {:?}", began.elapsed());
}

/// The answer of `GET /ready` once `part` is not well. The service notices within half a second.
async fn eventually_unready(harness: &Harness, part: &str) -> Value {
    until("the dependency is missing", async || harness.json("/ready").await[part] != "ok").await;
    let response = harness.get("/ready").await;
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert_eq!(body["status"], "unavailable");
    body
}

/// With several shards one server knows the workers, and the others go on without it.
#[tokio::test]
async fn submits_go_on_while_the_store_does_not_tell_who_the_workers_are() {
    let harness = Harness::new().await;
    assert_eq!(harness.post("/jobs", Some(png(60, 40)), &[]).await.status(), 202);
    harness.counts.hide_workers();
    for _ in 0..3 {
        tokio::time::sleep(std::time::Duration::from_millis(600)).await;
        assert_eq!(harness.post("/jobs", Some(png(60, 40)), &[]).await.status(), 202);
    }
}
