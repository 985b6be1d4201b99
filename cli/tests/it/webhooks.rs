//! Webhooks from the service to a receiver, verified with independent libraries.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use remaster_testkit::{Behaviour, Receiver, RedisServer, body, header, python};
use serde_json::{Value, json};

use crate::harness::{Server, photo};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEYS: &str =
    "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,whsk_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const ALLOW: (&str, &str) = ("WEBHOOK_ALLOW", "127.0.0.0/8");

/// The path of a submission that requests a webhook, with or without a secret.
fn submission(receiver: &Receiver, secret: bool) -> String {
    let secret = if secret { format!("&webhook_secret={}", SECRET.replace('+', "%2B")) } else { String::new() };
    format!("/jobs?background=false&webhook_url={}{secret}", receiver.url("/hook"))
}

/// Verifies the request with `standardwebhooks` and `cryptography`. The error is the output of the script.
fn verified(request: &str, body: &str, secret: Option<&str>, key: &Value) -> Result<(), String> {
    let headers: serde_json::Map<String, Value> =
        request.lines().skip(1).map_while(|line| line.split_once(": ")).map(|(n, v)| (n.into(), v.into())).collect();
    let given = json!({ "headers": headers, "body": body, "secret": secret, "public_key": key });
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/reference/verify_webhook.py");
    let mut command = python();
    let mut child = command.arg(script).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(given.to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
}

#[tokio::test]
async fn independent_libraries_verify_the_signatures() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[ALLOW, ("WEBHOOK_SIGNING_KEY", KEYS)]);
    let receiver = Receiver::start(Behaviour::Respond("200 OK")).await;
    let job: Value = server.post(&submission(&receiver, true), photo(64, 48)).await.json().await.unwrap();
    let done = server.finished(job["id"].as_str().unwrap()).await;
    let request = receiver.next(Duration::from_secs(10)).await;
    let told: Value = serde_json::from_str(body(&request)).unwrap();
    assert_eq!((&told["type"], &told["data"]["id"]), (&json!("job.succeeded"), &job["id"]));
    assert_eq!((&told["data"]["result"], &told["timestamp"]), (&done["result"], &done["finished_at"]));
    // The URL of the result can be fetched.
    let url = told["data"]["result"]["url"].as_str().unwrap();
    assert_eq!(server.http.get(url).send().await.unwrap().status(), 200);

    let published = server.json("/webhooks/key").await;
    assert_eq!(published["keys"].as_array().unwrap().len(), 2);
    let flipped = body(&request).replacen("job.succeeded", "job.succeedee", 1);
    for key in published["keys"].as_array().unwrap() {
        assert_eq!(verified(&request, body(&request), Some(SECRET), key), Ok(()));
        assert_eq!(verified(&request, body(&request), None, key), Ok(()));
        let error = verified(&request, &flipped, None, key).unwrap_err();
        assert!(error.contains("ed25519"), "{error}");
    }
    let error = verified(&request, &flipped, Some(SECRET), &published["key"]).unwrap_err();
    assert!(error.contains("HMAC"), "{error}");
    let other = "whsec_HwECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    assert!(verified(&request, body(&request), Some(other), &published["key"]).unwrap_err().contains("HMAC"));
}

#[tokio::test]
async fn without_a_configured_key_the_store_provides_one_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let key = async || Server::start(folder.path()).json("/webhooks/key").await;
    let first = key().await;
    assert!(first["key"].as_str().unwrap().starts_with("whpk_"));
    assert_eq!(key().await, first);
}

/// The receiver answers with an error, the service is killed, and both recover.
async fn survives(start: impl Fn() -> Server) {
    let receiver = Receiver::start(Behaviour::Respond("500 Internal Server Error")).await;
    let mut server = start();
    let job: Value = server.post(&submission(&receiver, false), photo(64, 48)).await.json().await.unwrap();
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let first = receiver.next(Duration::from_secs(20)).await;
    let seen = server.eventually(&path, |job| job["webhook"]["attempts"] == 1).await;
    assert_eq!(
        (&seen["webhook"]["status"], &seen["webhook"]["last_attempt"]["status"]),
        (&json!("pending"), &json!(500))
    );
    server.signal("KILL");
    server.child.wait().unwrap();
    receiver.set_behaviour(Behaviour::Respond("200 OK"));

    let server = start();
    let second = receiver.next(Duration::from_secs(20)).await;
    assert_eq!((header(&first, "webhook-id"), body(&first)), (header(&second, "webhook-id"), body(&second)));
    let seen = server.eventually(&path, |job| job["webhook"]["attempts"] == 2).await;
    assert_eq!(seen["webhook"]["status"], "delivered");
}

#[tokio::test]
async fn a_delivery_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    survives(|| Server::start_with(folder.path(), &[ALLOW])).await;
}

#[tokio::test]
async fn a_delivery_survives_a_kill_with_redis() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start();
    survives(|| Server::start_with(folder.path(), &[ALLOW, ("REDIS_URL", &redis.url())])).await;
}

#[tokio::test]
async fn a_machine_without_certificate_authorities_starts() {
    let folder = tempfile::tempdir().unwrap();
    let none = "/nonexistent";
    let server = Server::start_with(folder.path(), &[ALLOW, ("SSL_CERT_FILE", none), ("SSL_CERT_DIR", none)]);
    let receiver = Receiver::start(Behaviour::Respond("200 OK")).await;
    assert_eq!(server.post(&submission(&receiver, false), photo(64, 48)).await.status(), 202);
    receiver.next(Duration::from_secs(20)).await;
}
