//! The service with a real redis-server: it gives the same answers as with the embedded store, and survives an outage.

use std::time::{Duration, Instant};

use remaster_testkit::{RedisServer, SMALL_MODEL};
use serde_json::{Value, json};

use crate::harness::{Server, photo};

#[tokio::test]
async fn jobs_in_redis_survive_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start();
    let server = Server::start_with(folder.path(), &[("REDIS_URL", &redis.url())]);
    let submit = async || server.post(&format!("/jobs?scale=2&model={SMALL_MODEL}"), photo(64, 48)).await;
    let job: Value = submit().await.json().await.unwrap();
    let done = server.finished(job["id"].as_str().unwrap()).await;
    assert_eq!((&done["status"], &done["result"]["width"]), (&json!("succeeded"), &json!(128)));
    let stats = server.json("/stats").await;
    assert_eq!(
        (&stats["store"], &stats["redis_connected"], &stats["workers"]),
        (&json!("redis"), &json!(true), &json!(1))
    );

    redis.stop();
    let began = Instant::now();
    let refused = submit().await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    assert!(began.elapsed() < Duration::from_millis(3500), "{:?}", began.elapsed());
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "store_unavailable");
    assert_eq!(server.json("/health").await["status"], "ok");

    redis.restart();
    let deadline = Instant::now() + Duration::from_secs(10);
    let accepted = loop {
        let answer = submit().await;
        if answer.status() == 202 {
            break answer;
        }
        assert!(Instant::now() < deadline, "the service recovers");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let job: Value = accepted.json().await.unwrap();
    assert_eq!(server.finished(job["id"].as_str().unwrap()).await["status"], "succeeded");
    // The refused submission is not charged. The job that was accepted before the outage still is.
    assert_eq!(server.json("/quota").await["used"], 2);
}

#[tokio::test]
async fn a_full_redis_takes_no_photos_answers_what_it_has_and_recovers_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let redis = RedisServer::start();
    let server = Server::start_with(folder.path(), &[("REDIS_URL", &redis.url())]);
    let submit = async || server.post("/jobs?background=false", photo(64, 48)).await;
    let job: Value = submit().await.json().await.unwrap();
    let done = server.finished(job["id"].as_str().unwrap()).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    let refused = submit().await;
    assert_eq!((refused.status().as_u16(), refused.headers().contains_key("retry-after")), (503, true));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "store_unavailable");
    assert_eq!(server.json("/quota").await["used"], 1);
    assert_eq!(server.json(&format!("/jobs/{}", job["id"].as_str().unwrap())).await["result"], done["result"]);
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let job: Value = submit().await.json().await.unwrap();
    assert_eq!(server.finished(job["id"].as_str().unwrap()).await["status"], "succeeded");
    assert_eq!(server.json("/quota").await["used"], 2);
}

#[tokio::test]
async fn a_copy_of_redis_that_was_taken_while_jobs_ran_has_all_that_were_accepted_before() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start();
    let server = Server::start_with(folder.path(), &[("REDIS_URL", &redis.url())]);
    let mut ids = Vec::new();
    for _ in 0..30 {
        let job: Value = server.post("/jobs?background=false", photo(300, 200)).await.json().await.unwrap();
        ids.push(job["id"].as_str().unwrap().to_owned());
    }
    server.finished(&ids[0]).await;
    let copy = folder.path().join("copy.rdb");
    redis.command(&["--rdb", copy.to_str().unwrap()]);
    drop(server);
    redis.stop();

    // With an append-only file that is not there yet, Redis would start empty.
    let mut restored = RedisServer::start_with(&["--appendonly", "no"]);
    restored.stop();
    std::fs::copy(&copy, restored.folder().join("dump.rdb")).unwrap();
    restored.restart();
    assert_eq!(restored.command(&["CONFIG", "SET", "appendonly", "yes"]), "OK");
    let server = Server::start_with(folder.path(), &[("REDIS_URL", &restored.url())]);
    for id in &ids {
        assert_eq!(server.finished(id).await["status"], "succeeded");
    }
    assert_eq!(server.json("/quota").await["used"], ids.len());
}
