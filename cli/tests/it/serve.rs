//! One process, one command: a photo in, an enlarged PNG out.

use std::time::Duration;

use remaster_testkit::SMALL_MODEL;
use serde_json::json;

use crate::harness::{Server, photo, run, stderr, with_models};

#[tokio::test]
async fn a_photo_comes_back_enlarged() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path());
    let answer = server.post(&format!("/enhance?scale=2&model={SMALL_MODEL}"), photo(160, 120)).await;
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
    let made = image::load_from_memory(&answer.bytes().await.unwrap()).unwrap();
    assert_eq!((made.width(), made.height()), (320, 240));
    // The same picture: reduced again it is close to what was sent.
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
async fn a_second_process_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _server = Server::start(folder.path());
    let second = run(with_models(folder.path()).arg("serve").env("BIND", "127.0.0.1:0"));
    assert_eq!(second.status.code(), Some(1));
    assert!(stderr(&second).contains("in use by another remaster process"), "{}", stderr(&second));
}
