//! The nodes of the service under test. Each reaches Redis and the storage over links of its own, and has a clock of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use remaster_testkit::{RedisServer, S3Server};

use super::attempts::Begun;
use super::faults::LEASE;
use super::link::Link;
use crate::harness::{Log, Server, with_models};

/// One node.
pub struct Node {
    role: &'static str,
    pub server: Server,
    pub redis: Link,
    pub storage: Link,
    folder: PathBuf,
    settings: Vec<(String, String)>,
    /// The logs of the processes before the present one.
    earlier: Vec<Log>,
}

impl Node {
    /// Starts a node whose clock is ahead by so many seconds.
    pub fn start(role: &'static str, (redis, s3): (&RedisServer, &S3Server), folder: &Path, ahead: i32) -> Self {
        let (redis, storage) = (Link::to(redis.address()), Link::to(s3.address()));
        let mut settings = s3.vars_at(storage.address());
        let own = [
            ("REDIS_URL", format!("redis://{}", redis.address())),
            ("REDIS_WAIT_REPLICAS", "1".into()),
            ("STORAGE_URL", s3.url()),
            ("USE_REALESRGAN", "0".into()),
            // Results expire while it goes on, in a long run.
            ("RESULT_TTL", "10m".into()),
            ("LEASE", humantime::format_duration(LEASE).to_string()),
            ("WEBHOOK_ALLOW", "127.0.0.0/8".into()),
            ("TRUSTED_PROXIES", String::new()),
        ];
        settings.extend(own.map(|(name, value)| (name.to_owned(), value)));
        settings.extend(clock(ahead));
        let server = spawn(role, folder, &settings, "127.0.0.1:0");
        Self { role, server, redis, storage, folder: folder.to_owned(), settings, earlier: Vec::new() }
    }

    /// Kills the process without warning, and starts it again at its address.
    pub fn restart(&mut self) {
        let address = self.server.base.trim_start_matches("http://").to_owned();
        self.server.signal("KILL");
        self.server.child.wait().unwrap();
        self.earlier.push(Arc::clone(&self.server.begun));
        self.server = spawn(self.role, &self.folder, &self.settings, &address);
    }

    /// The attempts that the worker of this number has begun.
    pub fn begun(&self, number: usize) -> Vec<Begun> {
        let logs = self.earlier.iter().chain([&self.server.begun]);
        let of_log = |log: &Log| {
            let log = log.lock().unwrap();
            log.iter().filter_map(|(at, line)| Begun::of_line(*at, number, line)).collect::<Vec<_>>()
        };
        logs.flat_map(of_log).collect()
    }

    /// Whether the node can write files. A limit on the size of files stands for a full disk.
    pub fn set_disk_full(&self, full: bool) {
        let limit = format!("--fsize={}:unlimited", if full { "0" } else { "unlimited" });
        let set = Command::new("prlimit").args(["--pid", &self.server.child.id().to_string(), &limit]).status();
        assert!(set.expect("prlimit is installed").success());
    }
}

fn spawn(role: &str, folder: &Path, settings: &[(String, String)], address: &str) -> Server {
    // The models are where they are for every test; the process must not end when a file cannot grow.
    let node = with_models(folder);
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(node.get_program()).arg(role).current_dir(folder);
    command.env_clear();
    command.envs(node.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.envs(settings.iter().map(|(name, value)| (name, value)));
    command.env(if role == "worker" { "ADMIN_BIND" } else { "BIND" }, address);
    Server::spawn(&mut command)
}

/// The settings that put a process's clock ahead, or back.
fn clock(ahead: i32) -> Vec<(String, String)> {
    if ahead == 0 {
        return Vec::new();
    }
    let libraries = glob("/usr/lib", "faketime/libfaketimeMT.so.1");
    let library = libraries.first().expect("libfaketime is installed (`cargo xtask test` does that)");
    let settings = [
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", format!("{ahead:+}")),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ];
    settings.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// `folder/*/rest`, those that exist.
fn glob(folder: &str, rest: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries.map(|entry| entry.path().join(rest)).filter(|path| path.exists()).collect()
}
