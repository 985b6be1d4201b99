//! Swagger UI in a real browser, which talks to nobody but this server.

use std::process::{Command, Stdio};

use serde_json::Value;

use crate::harness::Server;

const BROWSERS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

#[tokio::test]
async fn swagger_ui_opens_with_no_outside_request() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path());
    let log = folder.path().join("net.json");
    let browser =
        BROWSERS.into_iter().find(|name| Command::new(name).arg("--version").stdout(Stdio::null()).status().is_ok());
    let browser = browser.expect("Chromium is installed (cargo xtask test does that)");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg("--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1")
        .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
        .arg(format!("--log-net-log={}", log.display()))
        .args(["--virtual-time-budget=15000", "--dump-dom"])
        .arg(server.url("/docs/"))
        .stderr(Stdio::null())
        .output()
        .unwrap();
    let page = String::from_utf8_lossy(&output.stdout).into_owned();
    // Rendered from /openapi.json by the bundled scripts.
    for shown in ["Submit one image as a job", "/jobs/{id}/result", "/enhance"] {
        assert!(page.contains(shown), "{shown} is not on the page: {page:.2000}");
    }
    let log = std::fs::read_to_string(log).unwrap();
    // One event a line. The browser asks for things of its own too; what the page asked for names it as initiator.
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line.trim_end_matches(',')).ok());
    let by_page = events.filter(|event| event["params"]["initiator"] == server.base.as_str());
    let asked: Vec<String> = by_page.filter_map(|event| Some(event["params"]["url"].as_str()?.to_owned())).collect();
    assert!(asked.contains(&server.url("/openapi.json")), "{asked:?}");
    let outside: Vec<_> = asked.iter().filter(|url| !url.starts_with(&server.base)).collect();
    assert!(outside.is_empty(), "{outside:?}");
}
