//! Running the binary, as a command and as a server on a free port.

use std::io::{BufRead, BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use image::{DynamicImage, ImageFormat};
use reqwest::multipart::{Form, Part};
use reqwest::{Client, Response};
use serde_json::Value;

/// How long a server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a condition may take to hold, see [`Server::eventually`].
const CONDITION_TIMEOUT: Duration = Duration::from_secs(20);

/// The binary, in a folder without a `.env` and without the settings of the person who runs the tests.
pub fn remaster(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_remaster"));
    command.current_dir(folder).env_clear();
    for name in ["PATH", "HOME", "LD_LIBRARY_PATH", "ASSET_MIRROR", "PYENV_ROOT"] {
        if let Some(value) = std::env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// The binary with the models that tests share.
pub fn with_models(folder: &Path) -> Command {
    let mut command = remaster(folder);
    // The models that tests need are installed. The larger default models are not fetched, so that they are missing on every
    // machine.
    command.env("PULL_MODELS", "0");
    command.env("MODELS_DIR", remaster_testkit::library().dir());
    // Tests send the same photo again and again, and mean the work on it.
    command.env("REUSE_RESULTS", "0");
    command
}

/// The device that `DEVICE=auto` comes to with the models that tests share, where there is no GPU.
pub fn default_device() -> &'static str {
    if remaster_testkit::openvino().is_some() { "openvino" } else { "cpu" }
}

/// Creates a models folder in `folder` that belongs to one test, with the runtime, the models `ids`, and the face restorer if
/// `restorer` is true.
pub fn models_folder(folder: &Path, ids: &[&str], restorer: bool) -> PathBuf {
    let models = folder.join("models");
    std::fs::create_dir(&models).unwrap();
    let shared = remaster_testkit::library();
    let runtime = remaster_testkit::runtime();
    let runtime = runtime.parent().unwrap();
    std::os::unix::fs::symlink(runtime.canonicalize().unwrap(), models.join(runtime.file_name().unwrap())).unwrap();
    for id in ids {
        std::fs::copy(shared.model_path(id), models.join(format!("{id}.onnx"))).unwrap();
    }
    if restorer {
        install_restorer(&models);
    }
    models
}

/// Installs a small network with the inputs and outputs of a face restorer.
pub fn install_restorer(models: &Path) {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference/faces/gfpgan-1.4.onnx");
    std::fs::copy(fixture, models.join("gfpgan-1.4.onnx")).unwrap();
}

/// Runs a command to its end.
pub fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// What a command has printed on stderr.
pub fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A crop of the test photo, as JPEG.
pub fn photo(width: u32, height: u32) -> Vec<u8> {
    let photo = DynamicImage::ImageRgb8(remaster_testkit::photo()).crop_imm(130, 20, width, height);
    let mut out = Cursor::new(Vec::new());
    photo.write_to(&mut out, ImageFormat::Jpeg).unwrap();
    out.into_inner()
}

/// A running server, which is killed when this value is dropped.
pub struct Server {
    pub child: Child,
    /// The prefix of its URLs.
    pub base: String,
    pub http: Client,
    /// The lines of its log that say which job it has begun, each with when it was read.
    pub begun: Log,
}

/// Lines of a log, each with when it was read.
pub type Log = Arc<Mutex<Vec<(Instant, String)>>>;

impl Server {
    /// Starts `remaster serve` with its data in `folder`.
    pub fn start(folder: &Path) -> Self {
        Self::start_with(folder, &[])
    }

    /// Starts `remaster serve` with further settings.
    pub fn start_with(folder: &Path, settings: &[(&str, &str)]) -> Self {
        Self::start_at(folder, "127.0.0.1:0", settings)
    }

    /// The same at an address that was used before.
    pub fn start_at(folder: &Path, address: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = with_models(folder);
        command.envs(settings.iter().copied()).env("BIND", address);
        Self::spawn(command.arg("serve"))
    }

    /// Starts a node of one role, `api` or `worker`, with its data in `folder`.
    pub fn node(role: &str, folder: &Path, settings: &[(String, String)]) -> Self {
        let mut command = with_models(folder);
        command.env(if role == "worker" { "ADMIN_BIND" } else { "BIND" }, "127.0.0.1:0");
        command.envs(settings.iter().map(|(name, value)| (name, value)));
        Self::spawn(command.arg(role))
    }

    /// Starts the command, which runs the binary as a server.
    pub fn spawn(command: &mut Command) -> Self {
        remaster_shared::tls::install_default_provider();
        let http = Client::new();
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (sender, lines) = mpsc::channel();
        // The thread reads the pipe to its end, so that the server never blocks on a full pipe.
        let begun = Log::default();
        let kept = Arc::clone(&begun);
        std::thread::spawn(move || {
            log.lines().map_while(Result::ok).for_each(|line| {
                if line.contains("job started") {
                    kept.lock().unwrap().push((Instant::now(), line.clone()));
                }
                drop(sender.send(line));
            });
        });
        let deadline = Instant::now() + START_TIMEOUT;
        let mut seen = String::new();
        let base = loop {
            let line = lines.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let line = line.unwrap_or_else(|error| panic!("the server does not start ({error}): {seen}"));
            let address = ["listening on ", "administration on "].iter().find_map(|words| line.split_once(words));
            if let Some((_, rest)) = address {
                break rest.split([',', ' ']).next().unwrap().to_owned();
            }
            seen.push_str(&line);
            seen.push('\n');
        };
        Self { child, base, http, begun }
    }

    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub async fn post(&self, path: &str, picture: Vec<u8>) -> Response {
        let form = Form::new().part("file", Part::bytes(picture).file_name("photo.jpg"));
        self.http.post(self.url(path)).multipart(form).send().await.unwrap()
    }

    pub async fn json(&self, path: &str) -> Value {
        self.http.get(self.url(path)).send().await.unwrap().json().await.unwrap()
    }

    /// Requests `path` until the condition `holds`, and returns that answer.
    ///
    /// # Panics
    /// The condition does not hold in time.
    pub async fn eventually(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + CONDITION_TIMEOUT;
        loop {
            let value = self.json(path).await;
            if holds(&value) {
                return value;
            }
            assert!(Instant::now() < deadline, "{path} stays {value}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the job has ended, and returns it.
    pub async fn finished(&self, id: &str) -> Value {
        let look = async {
            loop {
                let job = self.json(&format!("/jobs/{id}?wait=10")).await;
                if !matches!(job["status"].as_str(), Some("queued" | "processing")) {
                    return job;
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(120), look).await.expect("the job ends")
    }

    /// The files that the process has mapped into memory, among them the libraries that it has loaded.
    pub fn maps(&self) -> String {
        std::fs::read_to_string(format!("/proc/{}/maps", self.child.id())).unwrap()
    }

    /// The largest resident set that the process has had, in MiB.
    pub fn peak(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// Sends a signal such as `KILL`.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").arg(format!("-{name}")).arg(self.child.id().to_string()).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
