//! Real Redis servers on free ports: alone, as a cluster, behind a sentinel, and over TLS. Each server writes every command
//! to its append-only file before it answers.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    time::{Duration, Instant},
};

use tempfile::TempDir;

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a replica may take to copy the data of its master.
const SYNC_TIMEOUT: Duration = Duration::from_secs(90);
/// The interval at which conditions are checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(25);

/// A server that ends when it is dropped. Its data survive a restart, but not the drop.
pub struct RedisServer {
    child: Child,
    port: u16,
    folder: TempDir,
    arguments: Vec<String>,
}

impl RedisServer {
    /// Starts a server.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with further arguments.
    pub fn start_with(arguments: &[&str]) -> Self {
        let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
        loop {
            let port = free_port();
            let folder = tempfile::tempdir().unwrap();
            // It ends at once if another process has taken the port in the meantime. Then the next port is tried.
            if let Some(child) = spawn(port, folder.path(), &arguments) {
                return Self { child, port, folder, arguments };
            }
        }
    }

    /// The port that it listens on, at 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address that it listens on.
    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }

    /// What `REDIS_URL` takes.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address())
    }

    /// The folder of its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Makes this server a replica of `master`, and waits until it has all that the master has.
    pub fn follow(&self, master: &RedisServer) {
        self.begin_to_follow(master);
        self.catch_up_with(master);
    }

    /// Makes this server a replica of `master`.
    pub fn begin_to_follow(&self, master: &RedisServer) {
        self.command(&["REPLICAOF", "127.0.0.1", &master.port.to_string()]);
    }

    /// Waits until this replica has all that its master has, also in its append-only file. A server that received a copy of its master
    /// begins that file anew, and would come up empty if it was killed before the file is complete.
    pub fn catch_up_with(&self, master: &RedisServer) {
        wait_at_most(SYNC_TIMEOUT, "the replica has caught up", || {
            // In this order: the file is begun as soon as the copy is there.
            let has_copy = self.command(&["INFO", "replication"]).contains("master_link_status:up");
            let told = self.command(&["INFO", "persistence"]);
            let is_written = told.contains("aof_rewrite_in_progress:0") && told.contains("aof_rewrite_scheduled:0");
            has_copy && is_written && master.command(&["WAIT", "1", "100"]) == "1"
        });
    }

    /// Makes this replica a master. One that is loading a copy of its master refuses that until it has loaded it.
    pub fn promote(&self) {
        wait_at_most(SYNC_TIMEOUT, "the replica is a master", || self.command(&["REPLICAOF", "NO", "ONE"]) == "OK");
    }

    /// Kills the server without warning.
    pub fn stop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Stops the process without ending it: it answers nothing, and what is sent to it waits.
    pub fn freeze(&self) {
        self.signal("STOP");
    }

    /// Lets a frozen server go on.
    pub fn thaw(&self) {
        self.signal("CONT");
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }

    /// Runs a command with `redis-cli` and returns what it prints.
    pub fn command(&self, words: &[&str]) -> String {
        let done = Command::new("redis-cli").args(["-p", &self.port.to_string()]).args(words).output().unwrap();
        assert!(done.status.success(), "{words:?}");
        String::from_utf8(done.stdout).unwrap().trim().to_owned()
    }

    /// Stops the server and starts it again, on the same port and with the same data.
    pub fn restart(&mut self) {
        self.stop();
        let child = spawn(self.port, self.folder.path(), &self.arguments);
        self.child = child.expect("redis-server starts again on its port");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A cluster of three masters, which come first, and perhaps a replica of each. While one master is down, the others go on.
pub struct RedisCluster(Vec<RedisServer>);

impl RedisCluster {
    /// Starts three masters and joins them.
    pub fn start() -> Self {
        Self::with_replicas(0)
    }

    /// The same, where each master has so many replicas, one of which takes its place when it is down for some two seconds.
    pub fn with_replicas(replicas: usize) -> Self {
        let settings =
            ["--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-require-full-coverage", "no"];
        let nodes: Vec<_> = (0..3 * (1 + replicas)).map(|_| RedisServer::start_with(&settings)).collect();
        let addresses = nodes.iter().map(|node| format!("127.0.0.1:{}", node.port));
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(addresses).args(["--cluster-yes", "--cluster-replicas"]);
        create.arg(replicas.to_string()).stdout(Stdio::null());
        assert!(create.status().expect("redis-cli is installed").success());
        // The cluster is ready when each node knows the others and all their slots.
        let knows = |node: &RedisServer| {
            let ask = |what: &str| {
                let port = node.port.to_string();
                let said = Command::new("redis-cli").args(["-p", &port, "CLUSTER", what]).output().unwrap().stdout;
                String::from_utf8_lossy(&said).into_owned()
            };
            let (info, slots) = (ask("INFO"), ask("SLOTS"));
            let known = format!("cluster_known_nodes:{}", nodes.len());
            ["cluster_state:ok", "cluster_slots_ok:16384", &known].iter().all(|part| info.contains(part))
                && nodes.iter().all(|other| slots.contains(&format!("\n{}\n", other.port)))
        };
        wait_until("the cluster is ready", || nodes.iter().all(knows));
        Self(nodes)
    }

    /// Deletes all data.
    pub fn empty(&self) {
        for master in &self.0[..3] {
            assert_eq!(master.command(&["FLUSHALL"]), "OK");
        }
    }

    /// Kills a master without warning.
    pub fn stop(&mut self, master: usize) {
        self.0[master].stop();
    }

    /// How many calls of functions each master has carried out.
    pub fn calls(&self) -> [u64; 3] {
        [0, 1, 2].map(|master: usize| {
            let stats = self.0[master].command(&["INFO", "commandstats"]);
            let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_fcall:calls=")?.split(',').next());
            calls.map_or(0, |calls| calls.parse().unwrap())
        })
    }

    /// What `REDIS_URL` takes.
    pub fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{}", self.0[0].port)
    }
}

/// One master, and a sentinel that monitors it.
pub struct RedisSentinel {
    sentinel: Child,
    port: u16,
    _master: RedisServer,
    _folder: TempDir,
}

impl RedisSentinel {
    /// Starts both.
    pub fn start() -> Self {
        let (master, port, folder) = (RedisServer::start(), free_port(), tempfile::tempdir().unwrap());
        let file = folder.path().join("sentinel.conf");
        let lines = format!("port {port}\nbind 127.0.0.1\nsentinel monitor photos 127.0.0.1 {} 1\n", master.port);
        std::fs::write(&file, lines).unwrap();
        let mut command = Command::new("redis-server");
        let sentinel = command.arg(&file).arg("--sentinel").stdout(Stdio::null()).spawn().unwrap();
        let process = format!("process_id:{}\r\n", sentinel.id());
        wait_until("the sentinel answers", || info(port, "server").is_some_and(|info| info.contains(&process)));
        Self { sentinel, port, _master: master, _folder: folder }
    }

    /// What `REDIS_URL` takes.
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

/// A server with a TLS port, and the certificate authority that issued its certificate.
pub struct RedisTls {
    server: RedisServer,
    folder: TempDir,
}

impl RedisTls {
    /// Starts the server with a new certificate.
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
        let tls_port = port.parse().unwrap();
        wait_until("the TLS port is open", || TcpStream::connect(("127.0.0.1", tls_port)).is_ok());
        Self { server, folder }
    }

    /// What `REDIS_URL` takes.
    pub fn url(&self) -> String {
        format!("rediss://127.0.0.1:{}", self.server.arguments[1])
    }

    /// The path of the certificate authority, which `SSL_CERT_FILE` takes.
    pub fn authority(&self) -> PathBuf {
        self.folder.path().join("certificate.pem")
    }
}

/// A port below those that the operating system assigns. Each port is returned at most once per process, and processes begin
/// at different ports. A node of a cluster also uses the port that is 10,000 higher.
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

/// Starts a server and waits until it has loaded its data. `None` if it ends instead.
fn spawn(port: u16, folder: &Path, arguments: &[String]) -> Option<Child> {
    let mut child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "always", "--dir", &folder.to_string_lossy()])
        .args(arguments)
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (`cargo xtask test` does that)");
    // The process id tells this server from another one that may have the port.
    let process = format!("process_id:{}\r\n", child.id());
    let mut ended = false;
    wait_until("redis-server answers", || {
        ended = child.try_wait().unwrap().is_some();
        ended || info(port, "").is_some_and(|info| info.contains(&process) && info.contains("\nloading:0\r\n"))
    });
    (!ended).then_some(child)
}

/// What the server at `port` answers to `INFO`, if it answers.
fn info(port: u16, section: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(250))).ok()?;
    // QUIT closes the connection, which ends the answer. A sentinel does not know it, and just falls silent.
    stream.write_all(format!("INFO {section}\r\nQUIT\r\n").as_bytes()).ok()?;
    let (mut answer, mut piece) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = stream.read(&mut piece) {
        answer.extend_from_slice(&piece[..count]);
    }
    String::from_utf8(answer).ok()
}

/// Waits until `condition` holds.
///
/// # Panics
/// It does not hold within [`START_TIMEOUT`].
fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_at_most(START_TIMEOUT, what, condition);
}

fn wait_at_most(time: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + time;
    while !condition() {
        assert!(Instant::now() < deadline, "not within {time:?}: {what}");
        std::thread::sleep(CHECK_INTERVAL);
    }
}
