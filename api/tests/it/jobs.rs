//! A job as its caller sees it.

use std::time::{Duration, Instant};

use remaster_shared::error::{ErrorCode, JobError};
use remaster_store::Outcome;
use serde_json::{Value, json};

use crate::fixtures::{form, png};
use crate::harness::{Harness, problem};

fn path(job: &Value) -> String {
    format!("/jobs/{}", job["id"].as_str().unwrap())
}

#[tokio::test]
async fn from_submit_to_result() {
    let harness = Harness::new().await;
    let fields = [("scale", "4"), ("faces", "off"), ("face_strength", "0.5"), ("metadata", "keep")];
    let response = harness.post("/jobs", Some(png(20, 10)), &fields).await;
    assert_eq!(response.status(), 202);
    assert_eq!(
        (&response.headers()["x-quota-used"], &response.headers()["x-quota-limit"]),
        (&"1".parse().unwrap(), &"100".parse().unwrap())
    );
    let location = response.headers()["location"].to_str().unwrap().to_owned();
    let job: Value = response.json().await.unwrap();
    assert_eq!(location, harness.url(&path(&job)));
    assert_eq!(job["status"], "queued");
    assert_eq!(
        job["params"],
        json!({"scale": 4, "model": "realesrgan-x4plus", "faces": "off", "face_strength": 0.5, "background": true, "metadata": "keep"})
    );
    assert_eq!(
        job["input"],
        json!({"filename": "a photo.jpg", "format": "png", "width": 20, "height": 10, "bytes": png(20, 10).len()})
    );
    assert_eq!(
        (&job["started_at"], &job["batch_id"], job.get("result"), job.get("error")),
        (&Value::Null, &Value::Null, None, None)
    );
    assert_eq!(job["queue"], json!({"position": 1}));
    let early = harness.get(&format!("{}/result", path(&job))).await;
    assert_eq!(early.status(), 409);
    assert_eq!(problem(early).await["code"], "not_finished");

    let (_, lease) = harness.claim().await;
    let content: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
    harness.succeed(&lease, &content).await;
    let done = harness.json(&path(&job)).await;
    assert_eq!((&done["status"], &done["progress"], done.get("queue")), (&json!("succeeded"), &json!(1.0), None));
    let result = &done["result"];
    assert_eq!((&result["width"], &result["bytes"]), (&json!(40), &json!(100_000)));
    assert_eq!(result["faces"], json!({"found": 0, "restored": 0, "status": "model_not_installed"}));

    let url = result["url"].as_str().unwrap();
    let whole = harness.http.get(url).send().await.unwrap();
    let headers = whole.headers().clone();
    assert_eq!(
        (whole.status().as_u16(), &headers["content-type"], &headers["content-length"]),
        (200, &"image/png".parse().unwrap(), &"100000".parse().unwrap())
    );
    assert_eq!(headers["content-disposition"], "inline; filename=\"a photo_x4.png\"");
    assert_eq!(whole.bytes().await.unwrap(), content);

    let ranges = [
        ("bytes=0-9999999", 0..100_000),
        ("bytes=99999-200000", 99_999..100_000),
        ("bytes=10-19", 10..20),
        ("bytes=99990-", 99_990..100_000),
        ("bytes=-5", 99_995..100_000),
    ];
    for (range, expected) in ranges {
        let part = harness.http.get(url).header("range", range).send().await.unwrap();
        assert_eq!(part.status(), 206, "{range}");
        let bounds = format!("bytes {}-{}/100000", expected.start, expected.end - 1);
        assert_eq!(part.headers()["content-range"], bounds.as_str());
        assert_eq!(part.bytes().await.unwrap(), content[expected]);
    }
    let outside = harness.http.get(url).header("range", "bytes=100000-").send().await.unwrap();
    assert_eq!(
        (outside.status().as_u16(), &outside.headers()["content-range"]),
        (416, &"bytes */100000".parse().unwrap())
    );
    for ignored in ["items=0-5", "bytes=x", "bytes=-200000"] {
        let whole = harness.http.get(url).header("range", ignored).send().await.unwrap();
        assert_eq!((whole.status().as_u16(), whole.content_length()), (200, Some(100_000)), "{ignored}");
    }
    let known = harness.http.get(url).header("if-none-match", &headers["etag"]).send().await.unwrap();
    assert_eq!(known.status(), 304);
    let other =
        harness.http.get(url).header("range", "bytes=0-9").header("if-range", "\"other\"").send().await.unwrap();
    assert_eq!(other.status(), 200);
    let late = harness.http.delete(harness.url(&path(&job))).send().await.unwrap();
    assert_eq!((late.status().as_u16(), problem(late).await["code"].clone()), (409, json!("already_finished")));
}

#[tokio::test]
async fn the_raw_body_takes_options_in_the_query() {
    let harness = Harness::new().await;
    let request = harness.http.post(harness.url("/jobs?scale=4&background=false")).header("content-type", "image/png");
    let job: Value = request.body(png(20, 10)).send().await.unwrap().json().await.unwrap();
    assert_eq!((&job["params"]["scale"], &job["params"]["background"]), (&json!(4), &json!(false)));
    assert_eq!(job["input"]["filename"], Value::Null);
    let request = harness.http.post(harness.url("/jobs?sharpness=4")).header("content-type", "image/png");
    let refused = request.body(png(20, 10)).send().await.unwrap();
    assert!(problem(refused).await["detail"].as_str().unwrap().contains("sharpness"));
}

#[tokio::test]
async fn an_unchanged_job_is_not_sent_again_and_a_wait_ends_with_a_change() {
    let harness = Harness::new().await;
    let job = harness.submit().await;
    let first = harness.get(&path(&job)).await;
    let tag = first.headers()["etag"].clone();
    let same = harness.http.get(harness.url(&path(&job))).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(same.status(), 304);

    let began = Instant::now();
    let unchanged = harness.get(&format!("{}?wait=1", path(&job))).await;
    assert_eq!(unchanged.status(), 200);
    assert!(began.elapsed() >= Duration::from_secs(1));

    let wait = format!("{}?wait=30", path(&job));
    let began = Instant::now();
    let subscriptions = harness.counts.subscriptions();
    let (waited, _) = tokio::join!(harness.get(&wait), async {
        harness.until_subscribed(subscriptions + 1).await;
        harness.claim().await
    });
    let waited: Value = waited.json().await.unwrap();
    assert_eq!(waited["status"], "processing");
    assert!(began.elapsed() < Duration::from_secs(10));
    let changed = harness.http.get(harness.url(&path(&job))).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(changed.status(), 200);
}

#[tokio::test]
async fn prefer_wait_holds_the_submit_until_the_end() {
    let harness = Harness::new().await;
    let post = |wait: &'static str| {
        let request =
            harness.http.post(harness.url("/jobs")).header("content-type", "image/png").header("prefer", wait);
        request.body(png(20, 10)).send()
    };
    let (answer, ()) = tokio::join!(post("respond-async, wait=30"), async {
        let (_, lease) = harness.claim().await;
        harness.succeed(&lease, b"png").await;
    });
    let answer = answer.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.headers()["preference-applied"]), (200, &"wait=30".parse().unwrap()));
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], "succeeded");
    let short = post("wait=1").await.unwrap();
    assert_eq!((short.status().as_u16(), &short.headers()["preference-applied"]), (202, &"wait=1".parse().unwrap()));
    assert_eq!(problem(post("wait=61").await.unwrap()).await["code"], "invalid_parameter");
}

#[tokio::test]
async fn a_job_that_has_not_started_is_refunded_when_it_is_canceled() {
    let harness = Harness::new().await;
    let first = harness.submit().await;
    let second = harness.submit().await;
    let (_, lease) = harness.claim().await;
    let delete = async |job: &Value| harness.http.delete(harness.url(&path(job))).send().await.unwrap();
    let running = delete(&first).await;
    assert_eq!(running.status(), 202);
    assert_eq!(running.json::<Value>().await.unwrap()["status"], "processing");
    let queued = delete(&second).await;
    assert_eq!(queued.status(), 200);
    assert_eq!(queued.json::<Value>().await.unwrap()["status"], "canceled");
    harness.store.finish(&lease, Outcome::Canceled).await.unwrap();
    let result = harness.get(&format!("{}/result", path(&first))).await;
    assert_eq!(problem(result).await["code"], "canceled");
    assert_eq!(harness.used().await, 1);
}

#[tokio::test]
async fn a_failed_job_says_why_and_nothing_internal() {
    let harness = Harness::new().await;
    let job = harness.submit().await;
    let (_, lease) = harness.claim().await;
    let error = JobError::new(ErrorCode::ImageCorrupt, "The image cannot be decoded: bad data.");
    harness.store.finish(&lease, Outcome::Failed(error)).await.unwrap();
    let failed = harness.json(&path(&job)).await;
    assert_eq!(failed["error"], json!({"code": "image_corrupt", "message": "The image cannot be decoded: bad data."}));
    let result = harness.get(&format!("{}/result", path(&job))).await;
    assert_eq!(problem(result).await["code"], "not_finished");
}

#[tokio::test]
async fn links_follow_the_public_url_or_the_host() {
    let harness = Harness::builder()
        .settings(|settings| {
            settings.public_url = Some(remaster_shared::job::UrlBase::new("https://photos.example.org/remaster/"));
        })
        .start()
        .await;
    let job = harness.submit().await;
    let expected = format!("https://photos.example.org/remaster{}", path(&job));
    assert_eq!(job["urls"]["self"], expected);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_key_is_one_job_and_one_unit() {
    let harness = std::sync::Arc::new(Harness::new().await);
    let send = |file: Vec<u8>, key: &'static str, scale: &'static str| {
        let harness = harness.clone();
        tokio::spawn(async move {
            let form = form(&[("a.png", file)]).text("scale", scale);
            let url = harness.url("/jobs");
            harness.http.post(url).header("idempotency-key", key).multipart(form).send().await.unwrap()
        })
    };
    let answers = futures::future::join_all((0..20).map(|_| send(png(20, 10), "\"one\"", "2"))).await;
    let (mut ids, mut replayed) = (std::collections::HashSet::new(), 0);
    for answer in answers {
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 202);
        replayed += usize::from(answer.headers().contains_key("idempotency-replayed"));
        ids.insert(answer.json::<Value>().await.unwrap()["id"].as_str().unwrap().to_owned());
    }
    assert_eq!((ids.len(), replayed), (1, 19));
    assert_eq!(harness.files(), (1, 0), "the pictures of the repeated requests are deleted");
    assert_eq!(harness.used().await, 1);

    // Without quotes it is the same key. For another file or another option it is refused.
    assert_eq!(send(png(20, 10), "one", "2").await.unwrap().status(), 202);
    for (file, scale) in [(png(21, 10), "2"), (png(20, 10), "4")] {
        let refused = send(file, "one", scale).await.unwrap();
        assert_eq!(refused.status(), 422);
        assert_eq!(problem(refused).await["code"], "idempotency_key_reused");
    }
    let bad = send(png(20, 10), "\"one", "2").await.unwrap();
    assert_eq!(bad.status(), 400);
    assert!(problem(bad).await["detail"].as_str().unwrap().contains("Idempotency-Key"));
}
