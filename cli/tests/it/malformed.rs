//! Two hundred pictures that are cut, flipped, joined or lie about themselves: each gets a clean answer, and nobody suffers.

use std::path::Path;

use rand::rngs::SmallRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use reqwest::multipart::{Form, Part};
use serde_json::Value;

use crate::harness::photo;
use crate::site::Site;

const PICTURES: usize = 200;
/// The most memory that the API may ever take, in MiB.
const MOST: u64 = 200;

/// Small whole pictures of every format.
fn whole() -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/decode");
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let mut whole: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
    whole.push(photo(300, 200));
    whole
}

fn malformed(whole: &[Vec<u8>], number: usize, rng: &mut SmallRng) -> Vec<u8> {
    let (mut bytes, other) = (whole[number % whole.len()].clone(), whole.choose(rng).unwrap());
    let at = rng.random_range(0..bytes.len());
    match number % 4 {
        0 => bytes.truncate(at),
        1 => (0..8).for_each(|_| {
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
        }),
        2 => bytes.splice(at.., other.iter().copied().skip(at)).for_each(drop),
        // Where files say how large they are.
        _ => bytes.iter_mut().skip(rng.random_range(4..40)).take(3).for_each(|byte| *byte = rng.random()),
    }
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_malformed_pictures_get_clean_answers() {
    let site = Site::new();
    let (api, worker) = (site.node_with("api", &[("MAX_INPUT_PIXELS", "4000000")]), site.node("worker"));
    api.eventually("/stats", |stats| stats["workers"] == 1).await;
    let (whole, mut rng) = (whole(), SmallRng::seed_from_u64(7));
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for number in 0..PICTURES {
        let form = Form::new().part("file", Part::bytes(malformed(&whole, number, &mut rng)));
        let answer = api.http.post(api.url("/jobs?background=false")).multipart(form).send().await.unwrap();
        let status = answer.status().as_u16();
        let body: Value = answer.json().await.unwrap();
        match status {
            202 => accepted.push(body["id"].as_str().unwrap().to_owned()),
            413 | 415 | 422 => refused += 1,
            _ => panic!("picture {number}: {body}"),
        }
    }
    let mut failed = 0;
    for id in &accepted {
        let job = api.finished(id).await;
        assert_eq!(job["attempt"], 1, "{job}");
        if job["status"] != "succeeded" {
            assert!(["image_corrupt", "unsupported_format"].contains(&job["error"]["code"].as_str().unwrap()), "{job}");
            failed += 1;
        }
    }
    assert!(refused >= 50 && failed >= 5, "{refused} were refused, and {failed} of {} failed", accepted.len());
    let stats = api.json("/stats").await;
    assert_eq!((&stats["workers"], &stats["fleet"][0]["paused"]), (&1.into(), &false.into()), "{stats}");
    assert!(api.peak() < MOST, "{} MiB", api.peak());
    let good: Value = api.post("/jobs?background=false", photo(64, 48)).await.json().await.unwrap();
    assert_eq!(api.finished(good["id"].as_str().unwrap()).await["status"], "succeeded");
    drop(worker);
}
