//! What nodes share: a real redis-server and a real S3 server.

use std::time::{Duration, Instant};

use remaster_testkit::{RedisServer, S3Server};
use serde_json::Value;
use tempfile::TempDir;

use crate::harness::Server;

pub struct Site {
    pub redis: RedisServer,
    pub s3: S3Server,
    pub folder: TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self { redis: RedisServer::start(), s3: S3Server::start(), folder: tempfile::tempdir().unwrap() }
    }

    /// Commands that clients sent so far.
    pub fn commands(&self) -> u64 {
        let port = self.redis.port().to_string();
        let info = std::process::Command::new("redis-cli").args(["-p", &port, "INFO", "stats"]).output().unwrap();
        let text = String::from_utf8(info.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
        line.trim().parse().unwrap()
    }

    pub fn node(&self, role: &str) -> Server {
        self.node_with(role, &[])
    }

    /// The same with further settings.
    pub fn node_with(&self, role: &str, further: &[(&str, &str)]) -> Server {
        let mut settings = self.s3.vars();
        settings.extend(further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        settings.push(("REDIS_URL".into(), self.redis.url()));
        settings.push(("STORAGE_URL".into(), self.s3.url()));
        Server::node(role, self.folder.path(), &settings)
    }
}

/// `GET path` until `there` holds of it.
pub async fn eventually(server: &Server, path: &str, there: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let value = server.json(path).await;
        if there(&value) {
            return value;
        }
        assert!(Instant::now() < deadline, "{path} stays {value}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
