//! What a submit may ask of webhooks. Their delivery is tested with the whole service.

use remaster_webhooks::sign::Signer;
use serde_json::Value;

use crate::fixtures::png;
use crate::harness::{Harness, problem};

#[tokio::test]
async fn the_keys_are_published() {
    let keys = Harness::new().await.json("/webhooks/key").await;
    let expected = Signer::from_seed([7; 32]).public_keys();
    assert_eq!((&keys["key"], &keys["keys"]), (&expected[0].clone().into(), &expected.into()));
}

#[tokio::test]
async fn a_webhook_is_checked_when_the_job_is_submitted() {
    let harness = Harness::new().await;
    const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    type Fields = &'static [(&'static str, &'static str)];
    let cases: [(Fields, &str, &str); 9] = [
        (&[("webhook_url", "ftp://example.com/")], "invalid_webhook_url", "only http and https"),
        (&[("webhook_url", "http://0x0a000001/")], "invalid_webhook_url", "10.0.0.1 is not a public address"),
        (&[("webhook_url", "http://[::ffff:169.254.169.254]/")], "invalid_webhook_url", "not a public address"),
        (&[("webhook_url", "https://a:b@example.com/")], "invalid_webhook_url", "user name or password"),
        (&[("webhook_url", "not a url")], "invalid_webhook_url", "not a URL"),
        (&[("webhook_secret", SECRET)], "invalid_parameter", "without a webhook_url"),
        (&[("webhook_url", "https://example.com/"), ("webhook_secret", "hunter2")], "invalid_parameter", "whsec_"),
        (&[("webhook_url", "https://example.com/"), ("webhook_secret", "whsec_AAEC")], "invalid_parameter", "24 to 64"),
        (
            &[("webhook_url", "https://example.com/"), ("webhook_url", "https://example.com/")],
            "invalid_parameter",
            "more than once",
        ),
    ];
    for path in ["/jobs", "/batches", "/enhance"] {
        for (fields, code, says) in cases {
            let refused = problem(harness.post(path, Some(png(10, 10)), fields).await).await;
            let detail = refused["detail"].as_str().unwrap();
            assert_eq!((refused["code"].as_str(), refused["status"].as_u64()), (Some(code), Some(400)), "{fields:?}");
            assert!(detail.contains(says) && !detail.contains("hunter2"), "{detail}");
        }
    }
    assert_eq!(harness.used().await, 0);
}

#[tokio::test]
async fn a_job_shows_the_state_of_its_webhook_and_not_its_address() {
    let harness = Harness::new().await;
    let fields = [("webhook_url", "https://example.com/hook?token=t0ken")];
    let response = harness.post("/jobs", Some(png(10, 10)), &fields).await;
    assert_eq!(response.status(), 202);
    let text = response.text().await.unwrap();
    assert!(!text.contains("t0ken") && !text.contains("example.com"), "{text}");
    let job: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&job["webhook"]["status"], &job["webhook"]["attempts"]), (&"waiting".into(), &0.into()));
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    harness.http.delete(harness.url(&path)).send().await.unwrap();
    let job = harness.json(&path).await;
    assert_eq!(job["webhook"]["status"], "pending");
    assert!(job["webhook"]["next_attempt_at"].is_string());
}
