//! Batches: submitted, looked at, followed, canceled, and fetched as a ZIP.

use std::io::{Cursor, Read};
use std::time::{Duration, Instant};

use reqwest::multipart::Form;
use serde_json::Value;
use zip::ZipArchive;

use crate::fixtures::{encoded, form, png};
use crate::harness::{Harness, problem, until};
use crate::sse::Event;

fn path(batch: &Value) -> String {
    format!("/batches/{}", batch["id"].as_str().unwrap())
}

fn statuses(batch: &Value) -> Vec<&str> {
    batch["jobs"].as_array().unwrap().iter().map(|job| job["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_batch_from_submit_to_zip() {
    let harness = Harness::new().await;
    let files = [("a.png", png(20, 10)), ("dir/b.png", png(8, 8)), ("a.png", png(30, 10))];
    let batch = harness.submit_batch(&files).await;
    assert_eq!((&batch["status"], &batch["total"], &batch["progress"]), (&"open".into(), &3.into(), &0.0.into()));
    let names: Vec<_> = batch["jobs"].as_array().unwrap().iter().map(|job| &job["input"]["filename"]).collect();
    assert_eq!(names, ["a.png", "b.png", "a.png"]);
    assert!(batch["jobs"].as_array().unwrap().iter().all(|job| job["batch_id"] == batch["id"]));
    assert_eq!((harness.used().await, harness.files().0), (3, 3));
    let early = problem(harness.get(&format!("{}/results.zip", path(&batch))).await).await;
    assert_eq!((early["status"].as_u64(), &early["code"]), (Some(409), &"not_finished".into()));

    for number in 0..3_u8 {
        let (job, lease) = harness.claim().await;
        assert_eq!(job.batch.unwrap().to_string(), batch["id"].as_str().unwrap());
        harness.succeed(&lease, &vec![number; 200_000]).await;
    }
    let batch = harness.json(&path(&batch)).await;
    assert_eq!((&batch["status"], &batch["progress"]), (&"finished".into(), &1.0.into()));
    assert_eq!(batch["counts"]["succeeded"], 3);
    assert!(batch["finished_at"].is_string() && batch["expires_at"].is_string());
    let response = harness.get(&format!("{}/results.zip", path(&batch))).await;
    assert_eq!(
        (response.status().as_u16(), &response.headers()["content-type"]),
        (200, &"application/zip".parse().unwrap())
    );
    let mut zip = ZipArchive::new(Cursor::new(response.bytes().await.unwrap())).unwrap();
    assert_eq!(zip.file_names().map(Result::unwrap).collect::<Vec<_>>(), ["a.png", "b.png", "a (2).png"]);
    for number in 0..3 {
        let mut entry = zip.by_index(number).unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert_eq!((entry.compression(), content), (zip::CompressionMethod::Stored, vec![number as u8; 200_000]));
    }
    let gone = problem(harness.get("/batches/6f2f0f5e-3f43-4a8f-9a43-0a8f0c1d2e3f").await).await;
    assert_eq!((gone["status"].as_u64(), &gone["code"]), (Some(404), &"not_found".into()));
}

#[tokio::test]
async fn a_refused_file_does_not_stop_the_others() {
    let harness = Harness::builder()
        .settings(|settings| {
            settings.max_upload_bytes = 100_000;
            settings.pixels.input = 1000;
        })
        .start()
        .await;
    let whole = encoded(20, 20, image::ImageFormat::Jpeg);
    let files = [
        ("text.jpg", b"this is no picture".to_vec()),
        ("cut.jpg", whole[..whole.len() / 2].to_vec()),
        ("good.jpg", whole),
        ("empty.jpg", Vec::new()),
        ("large.png", vec![0; 500_000]),
        ("wide.png", png(100, 100)),
        ("last.png", png(10, 10)),
    ];
    let batch = harness.submit_batch(&files).await;
    let codes: Vec<_> =
        batch["jobs"].as_array().unwrap().iter().map(|job| job["error"]["code"].as_str().unwrap_or("none")).collect();
    let expected =
        ["unsupported_format", "image_corrupt", "none", "image_corrupt", "file_too_large", "image_too_large", "none"];
    assert_eq!(codes, expected);
    assert_eq!((&batch["counts"]["failed"], &batch["counts"]["queued"]), (&5.into(), &2.into()));
    assert_eq!(
        batch["jobs"][0]["input"],
        serde_json::json!({ "filename": "text.jpg", "format": null, "width": 0, "height": 0, "bytes": 18 })
    );
    assert!(
        batch["jobs"][0]["error"]["message"].as_str().unwrap().contains("JPEG, PNG, WebP, TIFF, GIF, BMP and HEIC")
    );
    // Only accepted files cost something and are stored.
    assert_eq!((harness.used().await, harness.files()), (2, (2, 0)));

    let (job, lease) = harness.claim().await;
    assert_eq!(job.input.filename.as_deref(), Some("good.jpg"));
    harness.succeed(&lease, b"png").await;
    let (_, lease) = harness.claim().await;
    harness.succeed(&lease, b"png").await;
    let response = harness.get(&format!("{}/results.zip", path(&batch))).await;
    let zip = ZipArchive::new(Cursor::new(response.bytes().await.unwrap())).unwrap();
    assert_eq!(zip.file_names().map(Result::unwrap).collect::<Vec<_>>(), ["good.png", "last.png"]);

    let nothing = form(&[("a.txt", b"no picture".to_vec()), ("b.txt", b"none either".to_vec())]);
    let refused = problem(harness.post_form("/batches", nothing).await).await;
    assert_eq!(refused["code"], "unsupported_format");
    assert!(refused["detail"].as_str().unwrap().contains("None of the 2 files can be used; \"a.txt\""), "{refused}");
}

/// Each refused file is remembered, and costs nothing.
#[tokio::test]
async fn a_batch_of_almost_nothing_but_refused_files_is_refused() {
    let harness = Harness::builder().settings(|settings| settings.max_batch_files = 100).start().await;
    let batch = |good, bad| {
        let good = (0..good).map(|_| ("good.png", png(9, 9)));
        form(&good.chain((0..bad).map(|_| ("bad.png", b"no picture".to_vec()))).collect::<Vec<_>>())
    };
    let refused = problem(harness.post_form("/batches", batch(1, 11)).await).await;
    assert_eq!(refused["code"], "unsupported_format");
    assert!(refused["detail"].as_str().unwrap().contains("Only 1 of the 12 files"), "{refused}");
    harness.until_files(0).await;
    assert_eq!(harness.used().await, 0);
    for (good, bad) in [(1, 10), (20, 20)] {
        assert_eq!(harness.post_form("/batches", batch(good, bad)).await.status(), 202);
    }
    assert_eq!(harness.used().await, 21);
}

#[tokio::test]
async fn a_refused_batch_costs_nothing_and_leaves_no_files() {
    let harness = Harness::builder().settings(|settings| settings.daily_limit = 3).start().await;
    let many = |count| (0..count).map(|_| ("a.png", png(10, 10))).collect::<Vec<_>>();
    let cases = [
        (form(&many(4)), 429, "quota_exceeded"),
        (form(&many(1)).text("scale", "5"), 400, "invalid_parameter"),
        (form(&many(1)).text("size", "3"), 400, "invalid_parameter"),
        (form(&many(1)).text("model", "absent"), 503, "model_unavailable"),
        (Form::new().text("scale", "2"), 400, "missing_file"),
        (form(&many(1)).text("webhook_url", "http://10.0.0.1/"), 400, "invalid_webhook_url"),
        (form(&many(11)), 413, "batch_too_large"),
    ];
    for (form, status, code) in cases {
        let harness = if code == "batch_too_large" { &Harness::new().await } else { &harness };
        let refused = problem(harness.post_form("/batches", form).await).await;
        assert_eq!((refused["status"].as_u64(), refused["code"].as_str()), (Some(status), Some(code)), "{refused}");
        harness.until_files(0).await;
        assert_eq!(harness.used().await, 0);
    }
    let raw = harness.http.post(harness.url("/batches")).header("content-type", "image/png").body(png(9, 9));
    assert_eq!(problem(raw.send().await.unwrap()).await["code"], "missing_file");
}

#[tokio::test]
async fn a_repeated_key_gives_the_same_batch() {
    let harness = Harness::new().await;
    let keyed = async |key: &str, files: &[(&str, Vec<u8>)]| {
        let request = harness.http.post(harness.url("/batches")).header("idempotency-key", key);
        request.multipart(form(files)).send().await.unwrap()
    };
    let files = [("a.png", png(10, 10)), ("b.png", png(11, 10))];
    let first = keyed("k", &files).await;
    assert!(!first.headers().contains_key("idempotency-replayed"));
    let first: Value = first.json().await.unwrap();
    let again = keyed("k", &files).await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.json::<Value>().await.unwrap()["id"], first["id"]);
    assert_eq!((harness.used().await, harness.files().0), (2, 2));
    let swapped = [files[1].clone(), files[0].clone()];
    let renamed = [("c.png", png(10, 10)), ("b.png", png(11, 10))];
    for other in [&swapped[..], &renamed, &files[..1]] {
        assert_eq!(problem(keyed("k", other).await).await["code"], "idempotency_key_reused");
    }
    assert_eq!((harness.used().await, harness.files().0), (2, 2));
}

#[tokio::test]
async fn the_rest_of_a_batch_is_canceled() {
    let harness = Harness::new().await;
    let files: Vec<_> = (0..3).map(|_| ("a.png", png(10, 10))).collect();
    let batch = harness.submit_batch(&files).await;
    let (_, lease) = harness.claim().await;
    harness.succeed(&lease, b"png").await;
    let (_, running) = harness.claim().await;
    let cancel = || harness.http.delete(harness.url(&path(&batch))).send();
    let told = cancel().await.unwrap();
    assert_eq!(told.status(), 202);
    let told: Value = told.json().await.unwrap();
    assert_eq!((&told["status"], statuses(&told)), (&"open".into(), vec!["succeeded", "processing", "canceled"]));
    assert_eq!(harness.used().await, 2);
    harness.store.finish(&running, remaster_store::Outcome::Canceled).await.unwrap();
    let ended = harness.json(&path(&batch)).await;
    assert_eq!(ended["status"], "canceled");
    let late = problem(cancel().await.unwrap()).await;
    assert_eq!((late["status"].as_u64(), &late["code"]), (Some(409), &"already_finished".into()));
    let zip = harness.get(&format!("{}/results.zip", path(&batch))).await.bytes().await.unwrap();
    assert_eq!(ZipArchive::new(Cursor::new(zip)).unwrap().len(), 1);

    let batch = harness.submit_batch(&files[..1]).await;
    assert_eq!(harness.http.delete(harness.url(&path(&batch))).send().await.unwrap().status(), 200);
    let none = problem(harness.get(&format!("{}/results.zip", path(&batch))).await).await;
    assert_eq!(none["code"], "not_found");
}

#[tokio::test]
async fn a_batch_is_followed_and_waited_for() {
    let harness = Harness::new().await;
    let batch = harness.submit_batch(&[("a.png", png(10, 10)), ("b.png", png(10, 10))]).await;
    let events = format!("{}/events", path(&batch));
    assert!(batch["urls"]["events"].as_str().unwrap().ends_with(&events));
    let mut stream = harness.events(&events).await;
    let mut told = vec![stream.next().await.unwrap()];
    let began = Instant::now();
    assert_eq!(harness.get(&format!("{}?wait=1", path(&batch))).await.status(), 200);
    assert!(began.elapsed() >= Duration::from_secs(1), "nothing changed");

    let subscriptions = harness.counts.subscriptions();
    let waiting = tokio::spawn(harness.http.get(harness.url(&format!("{}?wait=30", path(&batch)))).send());
    harness.until_subscribed(subscriptions + 1).await;
    assert!(!waiting.is_finished());
    let (_, lease) = harness.claim().await;
    let seen: Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(seen["counts"]["processing"], 1);
    let progress =
        |counted: &'static str| move |event: &Event| event.name == "progress" && event.data["counts"][counted] == 1;
    told.extend(stream.until(progress("processing")).await);
    harness.succeed(&lease, b"png").await;
    told.extend(stream.until(progress("succeeded")).await);
    let (_, lease) = harness.claim().await;
    harness.succeed(&lease, b"png").await;
    told.extend(stream.rest().await);

    let names: Vec<_> = told.iter().map(|event| event.name.as_str()).collect();
    // Between them, changes that follow each other closely are combined.
    assert_eq!((names[0], names[names.len() - 1]), ("batch", "batch"), "{names:?}");
    assert!(names[1..names.len() - 1].iter().all(|name| ["job", "progress"].contains(name)), "{names:?}");
    assert_eq!(told[0].data["status"], "open");
    for job in batch["jobs"].as_array().unwrap() {
        let succeeded = |event: &&Event| {
            event.name == "job" && event.data["id"] == job["id"] && event.data["status"] == "succeeded"
        };
        assert_eq!(told.iter().filter(succeeded).count(), 1, "{names:?}");
    }
    let last = told.last().unwrap();
    assert_eq!(last.data["status"], "finished");
    let again = harness.http.get(harness.url(&events)).header("last-event-id", last.id.as_ref().unwrap());
    assert_eq!(again.send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn an_aborted_upload_leaves_no_files() {
    let harness = Harness::new().await;
    let boundary = "xyz";
    let part = |bytes: &[u8]| {
        let head = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\r\n");
        [head.as_bytes(), bytes, b"\r\n"].concat()
    };
    let (mut body, chunks) = futures::channel::mpsc::unbounded::<Result<Vec<u8>, std::io::Error>>();
    let request = harness
        .http
        .post(harness.url("/batches"))
        .header("content-type", format!("multipart/form-data; boundary={boundary}"))
        .body(reqwest::Body::wrap_stream(chunks));
    let sending = tokio::spawn(request.send());
    for _ in 0..3 {
        body.start_send(Ok(part(&png(10, 10)))).unwrap();
    }
    // Each file is stored as soon as the next part begins, and all are deleted when the rest does not come.
    until("two files are stored", async || harness.files().0 == 2).await;
    sending.abort();
    drop(body);
    harness.until_files(0).await;
    assert_eq!(harness.used().await, 0);
}
