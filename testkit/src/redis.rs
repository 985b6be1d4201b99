//! A redis-server on a port of its own, that writes each command to its log before it answers; also as a cluster,
//! behind a sentinel, over TLS.

use std::{
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::Duration,
};

use tempfile::TempDir;

/// Ended when dropped. Its data outlives a restart, not this value.
pub struct RedisServer {
    child: Child,
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// With further arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        loop {
            let port = free_port();
            let folder = tempfile::tempdir().unwrap();
            let mut child = spawn(port, folder.path(), &arguments);
            // One that found its port taken after all has ended by now, and somebody else answered.
            if child.try_wait().unwrap().is_none() {
                return Self { child, port, folder, arguments };
            }
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Kills it, without warning.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Starts it again, on the same port and data.
    pub fn restart(&mut self) {
        self.stop();
        self.child = spawn(self.port, self.folder.path(), &self.arguments);
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Three masters that share the keys.
pub struct RedisCluster(Vec<RedisServer>);

impl RedisCluster {
    pub fn start() -> Self {
        let nodes: Vec<_> = (0..3).map(|_| RedisServer::start_with(&["--cluster-enabled", "yes"])).collect();
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(addresses).args(["--cluster-yes"]).stdout(Stdio::null());
        assert!(create.status().expect("redis-cli is installed").success());
        // Each node has to have heard of the others and of all their slots.
        let knows = |node: &RedisServer| {
            let ask = |what: &str| {
                let port = node.port.to_string();
                let said = Command::new("redis-cli").args(["-p", &port, "CLUSTER", what]).output().unwrap().stdout;
                String::from_utf8_lossy(&said).into_owned()
            };
            let (info, slots) = (ask("INFO"), ask("SLOTS"));
            ["cluster_state:ok", "cluster_slots_ok:16384", "cluster_known_nodes:3"]
                .iter()
                .all(|part| info.contains(part))
                && nodes.iter().all(|other| slots.contains(&format!("\n{}\n", other.port)))
        };
        let ready = (0..200).any(|_| {
            std::thread::sleep(Duration::from_millis(25));
            nodes.iter().all(knows)
        });
        assert!(ready, "the cluster comes together");
        Self(nodes)
    }

    pub fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{}", self.0[0].port)
    }
}

/// One master and the sentinel that knows it.
pub struct RedisSentinel {
    sentinel: Child,
    port: u16,
    _master: RedisServer,
    _folder: TempDir,
}

impl RedisSentinel {
    pub fn start() -> Self {
        let (master, port, folder) = (RedisServer::start(), free_port(), tempfile::tempdir().unwrap());
        let file = folder.path().join("sentinel.conf");
        let lines = format!("port {port}\nbind 127.0.0.1\nsentinel monitor photos 127.0.0.1 {} 1\n", master.port);
        std::fs::write(&file, lines).unwrap();
        let sentinel = Command::new("redis-server").arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn().unwrap();
        answers(port);
        Self { sentinel, port, _master: master, _folder: folder }
    }

    pub fn url(&self) -> String {
        format!("redis-sentinel://127.0.0.1:{}?sentinelServiceName=photos", self.port)
    }
}

impl Drop for RedisSentinel {
    fn drop(&mut self) {
        let _ = self.sentinel.kill();
        let _ = self.sentinel.wait();
    }
}

/// A server that speaks TLS only, and the authority that its certificate is from.
pub struct RedisTls {
    server: RedisServer,
    folder: TempDir,
}

impl RedisTls {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = rcgen::generate_simple_self_signed(["localhost".into(), "127.0.0.1".into()]).unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let (certificate, key) = (certificate.to_string_lossy(), key.to_string_lossy());
        let port = free_port().to_string();
        let server = RedisServer::start_with(&[
            "--tls-port",
            &port,
            "--tls-cert-file",
            &certificate,
            "--tls-key-file",
            &key,
            "--tls-ca-cert-file",
            &certificate,
            "--tls-auth-clients",
            "no",
        ]);
        answers(port.parse().unwrap());
        Self { server, folder }
    }

    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.server.arguments[1])
    }

    /// What `SSL_CERT_FILE` takes.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

/// Below the ports that the system gives to others, each tried by one process and one test only. A cluster's nodes use
/// the port 10,000 above as well.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let first = (std::process::id().wrapping_mul(61) % 12_000) as u16;
    loop {
        let port = 10_000 + (first + NEXT.fetch_add(1, Ordering::SeqCst)) % 12_000;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        if free(port) && free(port + 10_000) {
            return port;
        }
    }
}

fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Child {
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "always", "--dir", &folder.to_string_lossy()])
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (cargo xtask test does that)");
    answers(port);
    child
}

fn answers(port: u16) {
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    std::thread::sleep(Duration::from_millis(50));
}
