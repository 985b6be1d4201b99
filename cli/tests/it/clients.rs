//! The programs of docs/clients, and a client that is generated from the OpenAPI document, against a real service.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use remaster_testkit::python;
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::harness::{Server, photo, run, stderr};

/// The secret of webhooks: any 32 bytes.
const SECRET: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

fn docs(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name).canonicalize().unwrap()
}

/// A folder with two photos, and a service.
fn service() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    for (name, width) in [("a.jpg", 32), ("b.jpg", 24)] {
        std::fs::write(folder.path().join(name), photo(width, 24)).unwrap();
    }
    let model = remaster_testkit::SMALL_MODEL;
    let data = folder.path().join("service");
    std::fs::create_dir(&data).unwrap();
    let models = crate::harness::models_folder(&data, &[model], false);
    let settings = [("WEBHOOK_ALLOW", "127.0.0.0/8"), ("MODELS_DIR", models.to_str().unwrap())];
    let server = Server::start_with(&data, &settings);
    (folder, server)
}

/// Runs a client on both photos, and checks what it has downloaded.
fn check(mut client: Command) {
    let (folder, server) = service();
    let done = run(client.args([&server.base, "a.jpg", "b.jpg"]).current_dir(folder.path()));
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said}{}", stderr(&done));
    assert_eq!(said, "result.png: 64x48\nresults.zip: 2 of 2\n");
    assert_eq!(image::open(folder.path().join("result.png")).unwrap().width(), 64);
    let listed = run(Command::new("unzip").args(["-t", "results.zip"]).current_dir(folder.path()));
    assert!(listed.status.success() && String::from_utf8_lossy(&listed.stdout).contains("b.png"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_works() {
    let mut client = python();
    client.arg(docs("clients/client.py"));
    check(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_client_works() {
    let mut client = Command::new("node");
    client.arg(docs("clients/client.mjs"));
    check(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shell_client_works() {
    let mut client = Command::new("bash");
    client.arg(docs("clients/client.sh"));
    check(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rust_client_works() {
    // Examples are built beside the binary that is tested.
    let binaries = Path::new(env!("CARGO_BIN_EXE_remaster")).parent().unwrap();
    check(Command::new(binaries.join("examples/client")));
}

/// Runs a receiver and tells it of a job.
async fn check_receiver(mut receiver: Command) {
    let (_folder, server) = service();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut receiver = receiver.args([&port.to_string(), SECRET]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(receiver.stdout.take().unwrap()).lines();
    let listens = async {
        while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), listens).await.expect("the receiver listens");
    let submit = async |secret: &str| -> String {
        let form = Form::new()
            .part("file", Part::bytes(photo(24, 24)))
            .text("webhook_url", format!("http://127.0.0.1:{port}/"))
            .text("webhook_secret", secret.to_owned());
        let job: Value =
            server.http.post(server.url("/jobs")).multipart(form).send().await.unwrap().json().await.unwrap();
        job["id"].as_str().unwrap().to_owned()
    };
    let id = submit(SECRET).await;
    assert_eq!(lines.next().unwrap().unwrap(), format!("job.succeeded {id}"));
    submit(&SECRET.replace("AAEC", "ZZEC")).await;
    assert_eq!(lines.next().unwrap().unwrap(), "refused: not signed with the secret");
    receiver.kill().unwrap();
    receiver.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_receiver_verifies() {
    let mut receiver = python();
    receiver.arg(docs("clients/receiver.py"));
    check_receiver(receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_receiver_verifies() {
    let mut receiver = Command::new("node");
    receiver.arg(docs("clients/receiver.mjs"));
    check_receiver(receiver).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generated_client_works() {
    let (folder, server) = service();
    let mut generate = python();
    let package = folder.path().join("remaster_client");
    generate.args(["-m", "openapi_python_client", "generate", "--meta", "none", "--path"]).arg(docs("openapi.json"));
    let generated = run(generate.arg("--output-path").arg(&package));
    assert!(generated.status.success(), "{}", stderr(&generated));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../testkit/reference/typed_client.py");
    let mut client = python();
    let done = run(client.arg(script).arg(folder.path()).arg(&server.base).arg(folder.path().join("a.jpg")));
    assert!(done.status.success(), "{}", stderr(&done));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "succeeded 128 1\n");
}
