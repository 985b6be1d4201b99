//! Batches: in, looked at, followed, canceled, out as a ZIP.

use std::io::{Cursor, Read};
use std::time::Duration;

use reqwest::Response;
use reqwest::multipart::{Form, Part};
use serde_json::Value;
use zip::ZipArchive;

use crate::harness::{Harness, encoded, png, problem};

fn form(files: &[(&str, Vec<u8>)]) -> Form {
    let part = |form: Form, (name, bytes): &(&str, Vec<u8>)| {
        form.part("file", Part::bytes(bytes.clone()).file_name((*name).to_owned()))
    };
    files.iter().fold(Form::new(), part)
}

async fn post(harness: &Harness, form: Form) -> Response {
    harness.http.post(harness.url("/batches")).multipart(form).send().await.unwrap()
}

async fn submit(harness: &Harness, files: &[(&str, Vec<u8>)]) -> Value {
    let response = post(harness, form(files)).await;
    assert_eq!(response.status(), 202);
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let batch: Value = response.json().await.unwrap();
    assert_eq!(batch["urls"]["self"], location);
    batch
}

fn path(batch: &Value) -> String {
    format!("/batches/{}", batch["id"].as_str().unwrap())
}

async fn used(harness: &Harness) -> u64 {
    harness.get("/quota").await.json::<Value>().await.unwrap()["used"].as_u64().unwrap()
}

fn statuses(batch: &Value) -> Vec<&str> {
    batch["jobs"].as_array().unwrap().iter().map(|job| job["status"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_batch_goes_its_way() {
    let harness = Harness::new().await;
    let files = [("a.png", png(20, 10)), ("dir/b.png", png(8, 8)), ("a.png", png(30, 10))];
    let batch = submit(&harness, &files).await;
    assert_eq!((&batch["status"], &batch["total"], &batch["progress"]), (&"open".into(), &3.into(), &0.0.into()));
    let names: Vec<_> = batch["jobs"].as_array().unwrap().iter().map(|job| &job["input"]["filename"]).collect();
    assert_eq!(names, ["a.png", "b.png", "a.png"]);
    assert!(batch["jobs"].as_array().unwrap().iter().all(|job| job["batch_id"] == batch["id"]));
    assert_eq!((used(&harness).await, harness.files().0), (3, 3));
    let early = problem(harness.get(&format!("{}/results.zip", path(&batch))).await).await;
    assert_eq!((early["status"].as_u64(), &early["code"]), (Some(409), &"not_finished".into()));

    for number in 0..3_u8 {
        let (job, lease) = harness.claim().await;
        assert_eq!(job.batch.unwrap().to_string(), batch["id"].as_str().unwrap());
        harness.succeed(&lease, &vec![number; 200_000]).await;
    }
    let batch: Value = harness.get(&path(&batch)).await.json().await.unwrap();
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
async fn a_refused_file_does_not_hold_up_the_others() {
    let harness = Harness::with(|settings| {
        settings.max_upload_bytes = 100_000;
        settings.pixels.input = 1000;
    })
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
    let batch = submit(&harness, &files).await;
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
    assert!(batch["jobs"][0]["error"]["message"].as_str().unwrap().contains("JPEG, PNG, WebP and TIFF"));
    // Only what was accepted costs and is kept.
    assert_eq!((used(&harness).await, harness.files()), (2, (2, 0)));

    let (job, lease) = harness.claim().await;
    assert_eq!(job.input.filename.as_deref(), Some("good.jpg"));
    harness.succeed(&lease, b"png").await;
    let (_, lease) = harness.claim().await;
    harness.succeed(&lease, b"png").await;
    let response = harness.get(&format!("{}/results.zip", path(&batch))).await;
    let zip = ZipArchive::new(Cursor::new(response.bytes().await.unwrap())).unwrap();
    assert_eq!(zip.file_names().map(Result::unwrap).collect::<Vec<_>>(), ["good.png", "last.png"]);

    let nothing = form(&[("a.txt", b"no picture".to_vec()), ("b.txt", b"none either".to_vec())]);
    let refused = problem(post(&harness, nothing).await).await;
    assert_eq!(refused["code"], "unsupported_format");
    assert!(refused["detail"].as_str().unwrap().contains("None of the 2 files can be used; \"a.txt\""), "{refused}");
}

#[tokio::test]
async fn a_refused_batch_costs_nothing_and_leaves_nothing() {
    let harness = Harness::with(|settings| settings.daily_limit = 3).await;
    let many = |count| (0..count).map(|_| ("a.png", png(10, 10))).collect::<Vec<_>>();
    let cases = [
        (form(&many(4)), 429, "quota_exceeded"),
        (form(&many(1)).text("scale", "3"), 400, "invalid_parameter"),
        (form(&many(1)).text("size", "3"), 400, "invalid_parameter"),
        (form(&many(1)).text("model", "absent"), 503, "model_unavailable"),
        (Form::new().text("scale", "2"), 400, "missing_file"),
        (form(&many(1)).text("webhook_url", "http://10.0.0.1/"), 400, "invalid_webhook_url"),
        (form(&many(11)), 413, "batch_too_large"),
    ];
    for (form, status, code) in cases {
        let harness = if code == "batch_too_large" { &Harness::new().await } else { &harness };
        let refused = problem(post(harness, form).await).await;
        assert_eq!((refused["status"].as_u64(), refused["code"].as_str()), (Some(status), Some(code)), "{refused}");
        let left = async {
            while harness.files() != (0, 0) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), left).await.expect("nothing is left");
        assert_eq!(used(harness).await, 0);
    }
    let raw = harness.http.post(harness.url("/batches")).header("content-type", "image/png").body(png(9, 9));
    assert_eq!(problem(raw.send().await.unwrap()).await["code"], "missing_file");
}

#[tokio::test]
async fn a_batch_is_repeated_by_its_key() {
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
    assert_eq!((used(&harness).await, harness.files().0), (2, 2));
    let swapped = [files[1].clone(), files[0].clone()];
    let renamed = [("c.png", png(10, 10)), ("b.png", png(11, 10))];
    for other in [&swapped[..], &renamed, &files[..1]] {
        assert_eq!(problem(keyed("k", other).await).await["code"], "idempotency_key_reused");
    }
    assert_eq!((used(&harness).await, harness.files().0), (2, 2));
}

#[tokio::test]
async fn the_rest_of_a_batch_is_canceled() {
    let harness = Harness::new().await;
    let files: Vec<_> = (0..3).map(|_| ("a.png", png(10, 10))).collect();
    let batch = submit(&harness, &files).await;
    let (_, lease) = harness.claim().await;
    harness.succeed(&lease, b"png").await;
    let (_, running) = harness.claim().await;
    let cancel = || harness.http.delete(harness.url(&path(&batch))).send();
    let told = cancel().await.unwrap();
    assert_eq!(told.status(), 202);
    let told: Value = told.json().await.unwrap();
    assert_eq!((&told["status"], statuses(&told)), (&"open".into(), vec!["succeeded", "processing", "canceled"]));
    assert_eq!(used(&harness).await, 2);
    harness.store.finish(&running, remaster_store::Outcome::Canceled).await.unwrap();
    let ended: Value = harness.get(&path(&batch)).await.json().await.unwrap();
    assert_eq!(ended["status"], "canceled");
    let late = problem(cancel().await.unwrap()).await;
    assert_eq!((late["status"].as_u64(), &late["code"]), (Some(409), &"already_finished".into()));
    let zip = harness.get(&format!("{}/results.zip", path(&batch))).await.bytes().await.unwrap();
    assert_eq!(ZipArchive::new(Cursor::new(zip)).unwrap().len(), 1);

    let batch = submit(&harness, &files[..1]).await;
    assert_eq!(harness.http.delete(harness.url(&path(&batch))).send().await.unwrap().status(), 200);
    let none = problem(harness.get(&format!("{}/results.zip", path(&batch))).await).await;
    assert_eq!(none["code"], "not_found");
}

#[tokio::test]
async fn a_batch_is_followed_and_waited_for() {
    let harness = Harness::new().await;
    let batch = submit(&harness, &[("a.png", png(10, 10)), ("b.png", png(10, 10))]).await;
    let events = format!("{}/events", path(&batch));
    assert!(batch["urls"]["events"].as_str().unwrap().ends_with(&events));
    let stream = harness.get(&events).await;
    let waiting = harness.http.get(harness.url(&format!("{}?wait=30", path(&batch)))).send();
    let waiting = tokio::spawn(waiting);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(!waiting.is_finished());
    let (_, lease) = harness.claim().await;
    let seen: Value = waiting.await.unwrap().unwrap().json().await.unwrap();
    assert_eq!(seen["counts"]["processing"], 1);
    tokio::time::sleep(Duration::from_millis(700)).await;
    harness.succeed(&lease, b"png").await;
    tokio::time::sleep(Duration::from_millis(700)).await;
    let (_, lease) = harness.claim().await;
    harness.succeed(&lease, b"png").await;

    let text = tokio::time::timeout(Duration::from_secs(5), stream.text()).await.expect("the stream ends").unwrap();
    let told: Vec<(String, Value, Option<String>)> = text
        .split("\n\n")
        .filter(|event| event.contains("data:"))
        .map(|event| {
            let field =
                |name| event.lines().find_map(|line| line.strip_prefix(name)).map(|text| text.trim().to_owned());
            (field("event:").unwrap(), serde_json::from_str(&field("data:").unwrap()).unwrap(), field("id:"))
        })
        .collect();
    let names: Vec<_> = told.iter().map(|(name, ..)| name.as_str()).collect();
    // What follows closely may be told as one.
    assert_eq!((names[0], names[names.len() - 1]), ("batch", "batch"), "{names:?}");
    assert!(names[1..names.len() - 1].iter().all(|name| ["job", "progress"].contains(name)), "{names:?}");
    assert_eq!(told[0].1["status"], "open");
    for job in batch["jobs"].as_array().unwrap() {
        let succeeded = |(name, data, _): &&(String, Value, _)| {
            name == "job" && data["id"] == job["id"] && data["status"] == "succeeded"
        };
        assert_eq!(told.iter().filter(succeeded).count(), 1, "{names:?}");
    }
    let (_, last, id) = told.last().unwrap();
    assert_eq!(last["status"], "finished");
    let again = harness.http.get(harness.url(&events)).header("last-event-id", id.as_ref().unwrap());
    assert_eq!(again.send().await.unwrap().status(), 204);
}

#[tokio::test]
async fn an_upload_that_breaks_off_leaves_nothing() {
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
    let stored = async |count| {
        while harness.files().0 != count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), stored(2)).await.expect("each is stored as it arrives");
    sending.abort();
    drop(body);
    tokio::time::timeout(Duration::from_secs(5), stored(0)).await.expect("and goes when the rest does not come");
    assert_eq!(used(&harness).await, 0);
}
