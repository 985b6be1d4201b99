//! What the service says of itself.

use serde_json::{Value, json};

use crate::harness::{Harness, announce, png, problem};

#[tokio::test]
async fn health_stats_models_and_quota() {
    let harness = Harness::new().await;
    let health: Value = harness.get("/health").await.json().await.unwrap();
    assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("remaster")));
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    harness.submit().await;
    let mut stats: Value = harness.get("/stats").await.json().await.unwrap();
    assert!(stats["fleet"][0]["last_seen"].take().as_str().unwrap().ends_with('Z'));
    assert_eq!(
        stats,
        json!({"total_ips_today": 1, "total_requests_today": 1, "redis_connected": false, "daily_limit_per_ip": 100,
               "store": "sqlite", "queue_depth": 1, "processing": 0, "workers": 1,
               "fleet": [{"name": "w", "version": "0", "device": "cpu", "models": ["realesrgan-x4plus"], "jobs": 2,
                          "in_flight": 1, "last_seen": null}]})
    );
    let models: Value = harness.get("/models").await.json().await.unwrap();
    let model = |index: usize| {
        let model = &models["models"][index];
        (model["id"].as_str().unwrap(), model["installed"].as_bool().unwrap(), model["workers"].as_u64().unwrap())
    };
    assert_eq!([model(0), model(1)], [("realesrgan-x4plus", true, 1), ("absent", false, 0)]);
    let quota: Value = harness.get("/quota").await.json().await.unwrap();
    assert_eq!((&quota["used"], &quota["limit"], &quota["remaining"]), (&json!(1), &json!(100), &json!(99)));
}

#[tokio::test]
async fn ready_names_what_is_missing() {
    let harness = Harness::new().await;
    assert_eq!(harness.get("/ready").await.status(), 200);

    announce(&*harness.store, Vec::new()).await;
    let body = eventually_unready(&harness, "models").await;
    assert_eq!(body["models"], "no upscaler on any worker");
    assert_eq!((&body["store"], &body["storage"], &body["workers"]), (&json!("ok"), &json!("ok"), &json!("ok")));
    let response = harness.post("/jobs", Some(png(20, 10)), &[]).await;
    assert_eq!((response.status().as_u16(), response.headers()["retry-after"].to_str().unwrap()), (503, "5"));
    assert_eq!(problem(response).await["code"], "model_unavailable");
    let quota: Value = harness.get("/quota").await.json().await.unwrap();
    assert_eq!(quota["used"], 0);
}

#[tokio::test]
async fn a_worker_that_stops_is_gone_but_its_models_are_remembered() {
    let harness = Harness::new().await;
    let mut gone = harness.store.workers().await.unwrap().remove(0).said;
    gone.stopping = true;
    harness.store.announce(&gone).await.unwrap();
    let body = eventually_unready(&harness, "workers").await;
    assert_eq!((&body["workers"], &body["models"]), (&json!("none seen"), &json!("ok")));
    // It is restarted, say: jobs wait for it.
    harness.submit().await;
}

/// `GET /ready` once `part` is not well; the answer may be half a second old.
async fn eventually_unready(harness: &Harness, part: &str) -> Value {
    for _ in 0..50 {
        let response = harness.get("/ready").await;
        let status = response.status();
        let body: Value = response.json().await.unwrap();
        if body[part] != "ok" {
            assert_eq!((status.as_u16(), &body["status"]), (503, &json!("unavailable")));
            return body;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{part} stays ok");
}
