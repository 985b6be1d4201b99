//! Webhooks from the service to a receiver, verified by libraries that are not ours.

use std::io::Write;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use remaster_testkit::{Manner, Receiver, RedisServer, body, header, python};
use serde_json::{Value, json};

use crate::harness::{Server, photo};

const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
const KEYS: &str =
    "whsk_AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=,whsk_AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI=";
const ALLOW: (&str, &str) = ("WEBHOOK_ALLOW", "127.0.0.0/8");

fn asking(receiver: &Receiver, secret: bool) -> String {
    let secret = if secret { format!("&webhook_secret={}", SECRET.replace('+', "%2B")) } else { String::new() };
    format!("/jobs?background=false&webhook_url={}{secret}", receiver.url("/hook"))
}

/// Whether `standardwebhooks` and `cryptography` accept the request; what they say if not.
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
async fn other_people_s_libraries_verify_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[ALLOW, ("WEBHOOK_SIGNING_KEY", KEYS)]);
    let receiver = Receiver::start(Manner::Answers("200 OK")).await;
    let job: Value = server.post(&asking(&receiver, true), photo(64, 48)).await.json().await.unwrap();
    let done = server.finished(job["id"].as_str().unwrap()).await;
    let request = receiver.next(Duration::from_secs(10)).await;
    let told: Value = serde_json::from_str(body(&request)).unwrap();
    assert_eq!((&told["type"], &told["data"]["id"]), (&json!("job.succeeded"), &job["id"]));
    assert_eq!((&told["data"]["result"], &told["timestamp"]), (&done["result"], &done["finished_at"]));
    // The result's URL works.
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
async fn without_a_key_the_store_has_one_that_stays() {
    let folder = tempfile::tempdir().unwrap();
    let key = async || Server::start(folder.path()).json("/webhooks/key").await;
    let first = key().await;
    assert!(first["key"].as_str().unwrap().starts_with("whpk_"));
    assert_eq!(key().await, first);
}

/// The receiver is down, the service is killed, both come back.
async fn survives(start: impl Fn() -> Server) {
    let receiver = Receiver::start(Manner::Answers("500 Internal Server Error")).await;
    let mut server = start();
    let job: Value = server.post(&asking(&receiver, false), photo(64, 48)).await.json().await.unwrap();
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    let first = receiver.next(Duration::from_secs(20)).await;
    let tried = async |server: &Server, attempts: u64| {
        loop {
            let job = server.json(&path).await;
            if job["webhook"]["attempts"] == attempts {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let seen = tokio::time::timeout(Duration::from_secs(10), tried(&server, 1)).await.expect("shows its attempt");
    assert_eq!(
        (&seen["webhook"]["status"], &seen["webhook"]["last_attempt"]["status"]),
        (&json!("pending"), &json!(500))
    );
    server.signal("KILL");
    server.child.wait().unwrap();
    receiver.behave(Manner::Answers("200 OK"));

    let server = start();
    let second = receiver.next(Duration::from_secs(20)).await;
    assert_eq!((header(&first, "webhook-id"), body(&first)), (header(&second, "webhook-id"), body(&second)));
    let seen = tokio::time::timeout(Duration::from_secs(10), tried(&server, 2)).await.expect("shows its attempt");
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
async fn a_machine_without_authorities_starts_all_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let none = "/nonexistent";
    let server = Server::start_with(folder.path(), &[ALLOW, ("SSL_CERT_FILE", none), ("SSL_CERT_DIR", none)]);
    let receiver = Receiver::start(Manner::Answers("200 OK")).await;
    assert_eq!(server.post(&asking(&receiver, false), photo(64, 48)).await.status(), 202);
    receiver.next(Duration::from_secs(20)).await;
}
