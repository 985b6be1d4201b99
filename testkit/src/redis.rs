//! A redis-server on a port of its own, that writes each command to its log before it answers.

use std::{
    net::{TcpListener, TcpStream},
    path::Path,
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
}

impl RedisServer {
    pub fn start() -> Self {
        // Below the ports that the system gives to others, each tried by one process and one test only.
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let first = (std::process::id().wrapping_mul(61) % 12_000) as u16;
        loop {
            let port = 20_000 + (first + NEXT.fetch_add(1, Ordering::SeqCst)) % 12_000;
            if TcpListener::bind(("127.0.0.1", port)).is_ok() {
                let folder = tempfile::tempdir().unwrap();
                let mut child = spawn(port, folder.path());
                // One that found its port taken after all has ended by now, and somebody else answered.
                if child.try_wait().unwrap().is_none() {
                    return Self { child, port, folder };
                }
            }
        }
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
        self.child = spawn(self.port, self.folder.path());
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn spawn(port: u16, folder: &Path) -> Child {
    let child = Command::new("redis-server")
        .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
        .args(["--appendfsync", "always", "--dir", &folder.to_string_lossy()])
        .stdout(Stdio::null())
        .spawn()
        .expect("redis-server is installed (cargo xtask test does that)");
    for _ in 0..200 {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    std::thread::sleep(Duration::from_millis(50));
    child
}
