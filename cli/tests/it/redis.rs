//! The service over a real redis-server: the same answers, an outage survived.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use remaster_testkit::SMALL_MODEL;
use serde_json::{Value, json};

use crate::harness::{Server, photo};

struct Redis {
    child: Child,
    port: u16,
}

impl Redis {
    fn start(folder: &Path, port: u16) -> Self {
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--dir", &folder.to_string_lossy()])
            .stdout(Stdio::null())
            .spawn()
            .expect("redis-server is installed (cargo xtask test does that)");
        let deadline = Instant::now() + Duration::from_secs(5);
        while TcpStream::connect(("127.0.0.1", port)).is_err() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
        Self { child, port }
    }

    fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Below the ports that the system gives to others.
fn free_port() -> u16 {
    let first = (std::process::id().wrapping_mul(61) % 10_000) as u16;
    (0..1000)
        .map(|next| 10_000 + (first + next) % 10_000)
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .unwrap()
}

#[tokio::test]
async fn jobs_in_redis_survive_an_outage() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = Redis::start(folder.path(), free_port());
    let url = format!("redis://127.0.0.1:{}", redis.port);
    let server = Server::start_with(folder.path(), &[("REDIS_URL", &url)]);
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

    let _redis = Redis::start(folder.path(), redis.port);
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
    // What was refused was not charged; what was accepted before the outage still is.
    assert_eq!(server.json("/quota").await["used"], 2);
}
