//! `remaster serve`: one process that takes photos and returns enlarged PNGs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use remaster_testkit::SMALL_MODEL;
use serde_json::json;

use crate::harness::{Server, default_device, install_restorer, models_folder, photo, run, stderr, with_models};

#[tokio::test]
async fn a_photo_comes_back_enlarged() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let answer = server.post(&format!("/enhance?scale=2&model={SMALL_MODEL}"), photo(160, 120)).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
    let made = image::load_from_memory(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!((made.width(), made.height()), (320, 240));
    // Reduced to its former size, the result is close to the photo.
    let source = image::load_from_memory(&photo(160, 120)).unwrap().into_rgb8();
    let back = made.resize_exact(160, 120, image::imageops::FilterType::Lanczos3).into_rgb8();
    let off: u64 = source.as_raw().iter().zip(back.as_raw()).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    assert!((off as f64) < 6.0 * source.as_raw().len() as f64, "mean difference {}", off as f64 / source.len() as f64);

    let job: serde_json::Value =
        server.post(&format!("/jobs?scale=4&model={SMALL_MODEL}"), photo(96, 64)).await.json().await.unwrap();
    let done = server.finished(job["id"].as_str().unwrap()).await;
    assert_eq!(
        (&done["status"], &done["result"]["width"], &done["result"]["height"]),
        (&json!("succeeded"), &json!(384), &json!(256))
    );
    let png = server.http.get(done["result"]["url"].as_str().unwrap()).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(done["result"]["bytes"], png.len());
    assert_eq!(image::load_from_memory(&png).unwrap().width(), 384);

    assert_eq!(server.json("/ready").await["status"], "ok");
    assert_eq!(server.json("/stats").await["workers"], 1);
    assert_eq!(server.json("/quota").await["used"], 2);

    server.signal("TERM");
    let ended = tokio::task::spawn_blocking(move || server.child.wait().unwrap());
    let status = tokio::time::timeout(Duration::from_secs(20), ended).await.expect("stops when asked").unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn the_same_photo_again_is_given_the_result_that_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start_with(folder.path(), &[("REUSE_RESULTS", "1")]);
    let mut pictures = Vec::new();
    for _ in 0..2 {
        let answer = server.post(&format!("/jobs?scale=4&model={SMALL_MODEL}"), photo(96, 64)).await;
        let job: serde_json::Value = answer.json().await.unwrap();
        let done = server.finished(job["id"].as_str().unwrap()).await;
        assert_eq!(done["status"], "succeeded");
        let url = done["result"]["url"].as_str().unwrap();
        pictures.push(server.http.get(url).send().await.unwrap().bytes().await.unwrap());
    }
    assert!(!pictures[0].is_empty() && pictures[0] == pictures[1]);
    assert_eq!(server.json("/quota").await["used"], 2);
    let metrics = server.http.get(format!("{}/metrics", server.base)).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("remaster_results_reused_total 1\n"), "{metrics}");
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[tokio::test]
async fn a_node_has_its_settings_of_the_allocator_and_keeps_those_that_it_is_given() {
    for (given, expected) in [(None, "2"), (Some("7"), "7")] {
        let folder = tempfile::tempdir().unwrap();
        let settings: Vec<_> = given.map(|arenas| ("MALLOC_ARENA_MAX", arenas)).into_iter().collect();
        let server = Server::start_with(folder.path(), &settings);
        let environment = std::fs::read_to_string(format!("/proc/{}/environ", server.child.id())).unwrap();
        assert!(environment.split('\0').any(|pair| pair == format!("MALLOC_ARENA_MAX={expected}")), "{environment}");
    }
}

#[test]
fn the_start_says_what_runs_and_what_to_do_next() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = with_models(folder.path());
    let mut child = command.arg("serve").env("BIND", "127.0.0.1:0").stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        said.push_str(&line.unwrap());
        said.push('\n');
        if said.contains("\n  try ") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let own: Vec<_> = said.lines().skip_while(|line| !line.starts_with("Remaster ")).collect();
    assert!(own.len() <= 10, "{said}");
    let device = format!("  device    {}, ", default_device());
    for part in [
        "  page      http://127.0.0.1:",
        &device,
        "DEVICE is auto",
        "  models    realesrgan-x4plus, ",
        "  store     ./data/remaster.sqlite",
        "  storage   ./data/blobs",
        "10000 images per client and day; results are kept for 1day",
        "/enhance?scale=2' -o out.png",
    ] {
        assert!(own.iter().any(|line| line.contains(part)), "{part} in {said}");
    }
    assert!(!said.contains("error:"), "{said}");
}

#[tokio::test]
async fn a_second_process_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path());
    let second = run(with_models(folder.path()).arg("serve").env("BIND", "127.0.0.1:0"));
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("in use by another remaster process"), "{}", stderr(&second));
}

/// Waits until `GET /models` shows the model as installed.
async fn installed(server: &Server, id: &str) {
    let shown = |model: &serde_json::Value| model["id"] == id && model["installed"] == true;
    server.eventually("/models", |models| models["models"].as_array().unwrap().iter().any(shown)).await;
}

#[tokio::test]
async fn faces_are_restored_once_a_restorer_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let models = models_folder(folder.path(), &[SMALL_MODEL, "yunet-2026may"], false);
    let server = Server::start_with(folder.path(), &[("MODELS_DIR", models.to_str().unwrap())]);
    installed(&server, "yunet-2026may").await;
    let submit =
        async |faces: &str| server.post(&format!("/jobs?model={SMALL_MODEL}&faces={faces}"), photo(200, 200)).await;
    let refused = submit("require").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.json::<serde_json::Value>().await.unwrap()["code"], "model_unavailable");
    let drawing: serde_json::Value = submit("auto").await.json().await.unwrap();
    let drawing = server.finished(drawing["id"].as_str().unwrap()).await;
    assert_eq!(drawing["result"]["faces"], json!({"found": 0, "restored": 0, "status": "drawing"}));
    let without: serde_json::Value = submit("auto&background=false").await.json().await.unwrap();
    let without = server.finished(without["id"].as_str().unwrap()).await;
    assert_eq!(without["result"]["faces"], json!({"found": 0, "restored": 0, "status": "model_not_installed"}));

    // The restorer is installed while the service runs.
    install_restorer(&models);
    installed(&server, "gfpgan-1.4").await;
    let with: serde_json::Value = submit("require").await.json().await.unwrap();
    let with = server.finished(with["id"].as_str().unwrap()).await;
    assert_eq!(with["result"]["faces"], json!({"found": 1, "restored": 1, "status": "restored"}));
    assert_ne!(with["result"]["sha256"], drawing["result"]["sha256"]);
    let off: serde_json::Value = submit("off").await.json().await.unwrap();
    let off = server.finished(off["id"].as_str().unwrap()).await;
    assert_eq!(off["result"]["faces"]["status"], "off");
    assert_eq!(off["result"]["sha256"], drawing["result"]["sha256"]);
}

/// No source of models can be reached. The service starts, reports it, and processes the jobs that need no network.
#[tokio::test]
async fn it_starts_without_models_and_reports_them_as_missing() {
    let folder = tempfile::tempdir().unwrap();
    let began = std::time::Instant::now();
    let nowhere = "http://127.0.0.1:1";
    let models = folder.path().join("models");
    let settings = [
        ("MODELS_DIR", models.to_str().unwrap()),
        ("PULL_MODELS", "1"),
        ("ASSET_MIRROR", ""),
        ("PATH", ""),
        ("HTTPS_PROXY", nowhere),
        ("HTTP_PROXY", nowhere),
    ];
    let server = Server::start_with(folder.path(), &settings);
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let ready = server.json("/ready").await;
    assert_eq!((&ready["status"], &ready["models"]), (&json!("unavailable"), &json!("no upscaler on any worker")));
    let refused = server.post("/jobs", photo(40, 30)).await;
    assert_eq!(refused.status(), 503);
    let lanczos: serde_json::Value = server.post("/jobs?background=false", photo(40, 30)).await.json().await.unwrap();
    let done = server.finished(lanczos["id"].as_str().unwrap()).await;
    assert_eq!((&done["status"], &done["result"]["width"]), (&json!("succeeded"), &json!(80)));
}

#[tokio::test]
async fn no_other_user_of_the_machine_reads_its_data() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start_with(folder.path(), &[("DATA_DIR", "kept/data")]);
    let mode = |name: &str| std::fs::metadata(folder.path().join(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("kept/data"), 0o700);
    for file in ["remaster.sqlite", "remaster.sqlite-wal", "remaster.sqlite-shm"] {
        assert_eq!(mode(&format!("kept/data/{file}")), 0o600, "{file}");
    }
}
