//! A site of several nodes, with a real redis-server and a real S3 server that they share.

use std::time::{Duration, Instant};

use remaster_testkit::{RedisServer, S3Server};
use tempfile::TempDir;

use crate::harness::Server;

/// The servers that the nodes of a site share.
pub struct Site {
    pub redis: RedisServer,
    pub s3: S3Server,
    pub folder: TempDir,
}

impl Site {
    pub fn new() -> Self {
        Self { redis: RedisServer::start(), s3: S3Server::start(), folder: tempfile::tempdir().unwrap() }
    }

    /// Waits until the nodes send Redis hardly any commands, which is so once they have started and all requests wait.
    pub async fn until_quiet(&self) {
        const WINDOW: Duration = Duration::from_millis(500);
        let deadline = Instant::now() + Duration::from_secs(20);
        loop {
            let before = self.commands();
            tokio::time::sleep(WINDOW).await;
            let sent = self.commands() - before;
            if sent <= 5 {
                return;
            }
            assert!(Instant::now() < deadline, "the nodes still send {sent} commands in {WINDOW:?}");
        }
    }

    /// The number of commands that Redis has processed so far, this question included.
    pub fn commands(&self) -> u64 {
        let port = self.redis.port().to_string();
        let info = std::process::Command::new("redis-cli").args(["-p", &port, "INFO", "stats"]).output().unwrap();
        let text = String::from_utf8(info.stdout).unwrap();
        let line = text.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap();
        line.trim().parse().unwrap()
    }

    /// Starts a node of one role.
    pub fn node(&self, role: &str) -> Server {
        self.node_with(role, &[])
    }

    /// Starts a node of one role with further settings.
    pub fn node_with(&self, role: &str, further: &[(&str, &str)]) -> Server {
        let mut settings = self.s3.vars();
        settings.extend(further.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        settings.push(("REDIS_URL".into(), self.redis.url()));
        settings.push(("STORAGE_URL".into(), self.s3.url()));
        Server::node(role, self.folder.path(), &settings)
    }
}
