//! A large batch through an API node, a worker node and a real S3 server.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use futures::StreamExt;
use image::{DynamicImage, ImageFormat, RgbImage};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use remaster_testkit::{Behaviour, Receiver, body};
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::harness::photo;
use crate::site::Site;

const FILES: usize = 100;

/// A PNG of random pixels, 600 x 600, which takes a megabyte because noise does not compress.
fn noise(seed: u64) -> Vec<u8> {
    let mut pixels = vec![0; 600 * 600 * 3];
    SmallRng::seed_from_u64(seed).fill(&mut pixels[..]);
    let image = RgbImage::from_raw(600, 600, pixels).unwrap();
    let mut out = std::io::Cursor::new(Vec::new());
    DynamicImage::ImageRgb8(image).write_to(&mut out, ImageFormat::Png).unwrap();
    out.into_inner()
}

/// A PNG whose chunks are complete, but whose pixels cannot be decoded.
fn damaged() -> Vec<u8> {
    let mut png = noise(7);
    let middle = png.len() / 2;
    png[middle..middle + 64].fill(0);
    png
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_files_of_which_two_are_corrupt() {
    let site = Site::new();
    let api = site.node_with("api", &[("WEBHOOK_ALLOW", "127.0.0.0/8")]);
    let worker = site.node("worker");
    api.eventually("/stats", |stats| stats["workers"] == 1).await;
    let receiver = Receiver::start(Behaviour::Respond("200 OK")).await;
    let mut form = Form::new().text("background", "false").text("webhook_url", receiver.url("/"));
    let whole = photo(64, 48);
    for number in 0..FILES {
        let bytes = match number {
            13 => whole[..whole.len() / 2].to_vec(),
            57 => damaged(),
            _ => noise(number as u64),
        };
        form = form.part("file", Part::bytes(bytes).file_name(format!("photo {number}.png")));
    }
    let answer = api.http.post(api.url("/batches")).multipart(form).send().await.unwrap();
    assert_eq!(answer.status(), 202);
    let batch: Value = answer.json().await.unwrap();
    let path = format!("/batches/{}", batch["id"].as_str().unwrap());
    let uploaded = api.peak();

    let done = async {
        loop {
            let batch = api.json(&format!("{path}?wait=20")).await;
            if batch["status"] != "open" {
                return batch;
            }
        }
    };
    let done = tokio::time::timeout(Duration::from_secs(180), done).await.expect("the batch ends");
    assert_eq!(done["counts"], json!({"queued": 0, "processing": 0, "succeeded": 98, "failed": 2, "canceled": 0}));
    let failed: Vec<_> = done["jobs"].as_array().unwrap().iter().filter(|job| job["status"] == "failed").collect();
    let names: Vec<_> = failed.iter().map(|job| &job["input"]["filename"]).collect();
    assert_eq!(names, ["photo 13.png", "photo 57.png"]);
    assert!(failed.iter().all(|job| job["error"]["code"] == "image_corrupt"), "{failed:?}");
    // A file that is refused at submission is not charged. Damage that only decoding finds is the caller's fault.
    assert_eq!(api.json("/quota").await["used"], 99);

    let zip = site.folder.path().join("results.zip");
    let mut file = tokio::fs::File::create(&zip).await.unwrap();
    let mut bytes = api.http.get(api.url(&format!("{path}/results.zip"))).send().await.unwrap().bytes_stream();
    while let Some(piece) = bytes.next().await {
        file.write_all(&piece.unwrap()).await.unwrap();
    }
    file.flush().await.unwrap();
    let downloaded = api.peak();
    println!("peak memory of the API: {uploaded} MiB after the upload, {downloaded} MiB after the download");
    // The upload has 100 MB, and the download 400 MB.
    assert!(downloaded < 80, "{downloaded} MiB");
    let size = std::fs::metadata(&zip).unwrap().len();
    assert!(size > 200_000_000, "{size}");

    assert!(Command::new("unzip").args(["-tqq"]).arg(&zip).status().unwrap().success(), "the archive is intact");
    // `-Z1` prints the names of the entries and nothing else.
    let listed = Command::new("unzip").arg("-Z1").arg(&zip).output().unwrap();
    let names = String::from_utf8(listed.stdout).unwrap();
    let expected: BTreeSet<_> =
        (0..FILES).filter(|number| ![13, 57].contains(number)).map(|number| format!("photo {number}.png")).collect();
    assert_eq!(names.lines().map(str::to_owned).collect::<BTreeSet<_>>(), expected);
    assert_eq!(names.lines().count(), expected.len());

    let told: Value = serde_json::from_str(body(&receiver.next(Duration::from_secs(10)).await)).unwrap();
    assert_eq!((&told["type"], &told["data"]["counts"]), (&json!("batch.completed"), &done["counts"]));
    assert_eq!(told["data"]["jobs"].as_array().unwrap().len(), FILES);
    drop(worker);
}
