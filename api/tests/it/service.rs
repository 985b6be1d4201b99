//! What the service says of itself.

use serde_json::{Value, json};

use crate::harness::{Harness, model};

#[tokio::test]
async fn health_stats_models_and_quota() {
    let harness = Harness::new().await;
    let health: Value = harness.get("/health").await.json().await.unwrap();
    assert_eq!((&health["status"], &health["service"]), (&json!("ok"), &json!("remaster")));
    assert!(health["timestamp"].as_str().unwrap().ends_with('Z'));
    harness.submit().await;
    let stats: Value = harness.get("/stats").await.json().await.unwrap();
    assert_eq!(
        stats,
        json!({"total_ips_today": 1, "total_requests_today": 1, "redis_connected": false, "daily_limit_per_ip": 100,
               "store": "sqlite", "queue_depth": 1, "processing": 0, "workers": 0})
    );
    let models: Value = harness.get("/models").await.json().await.unwrap();
    assert_eq!(
        (&models["models"][0]["id"], &models["models"][1]["installed"]),
        (&json!("realesrgan-x4plus"), &json!(false))
    );
    let quota: Value = harness.get("/quota").await.json().await.unwrap();
    assert_eq!((&quota["used"], &quota["limit"], &quota["remaining"]), (&json!(1), &json!(100), &json!(99)));
}

#[tokio::test]
async fn ready_names_what_is_missing() {
    let harness = Harness::new().await;
    let response = harness.get("/ready").await;
    assert_eq!(response.status(), 503);
    let body: Value = response.json().await.unwrap();
    assert_eq!(
        body,
        json!({"status": "unavailable", "store": "ok", "storage": "ok", "models": "ok", "workers": "none seen"})
    );
    harness.store.claim("a worker").await.unwrap();
    assert_eq!(harness.get("/ready").await.status(), 200);
    *harness.models.0.lock().unwrap() = vec![model("realesrgan-x4plus", false)];
    let body: Value = harness.get("/ready").await.json().await.unwrap();
    assert_eq!(body["models"], "no upscaler installed");
}
