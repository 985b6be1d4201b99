//! The synchronous call.

use std::time::Duration;

use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::Status;
use remaster_store::Outcome;
use serde_json::{Value, json};

use crate::fixtures::{form, model, png};
use crate::harness::{Harness, problem, until};

#[tokio::test]
async fn answers_with_the_picture() {
    let harness = Harness::new().await;
    let (answer, ()) = tokio::join!(harness.post("/enhance?scale=2", Some(png(20, 10)), &[]), async {
        let (job, lease) = harness.claim().await;
        assert_eq!(job.params.scale.factor(), 2);
        harness.succeed(&lease, b"the picture").await;
    });
    assert_eq!((answer.status().as_u16(), &answer.headers()["content-type"]), (200, &"image/png".parse().unwrap()));
    assert_eq!(answer.headers()["x-quota-used"], "1");
    assert!(answer.headers().contains_key("x-job-id"));
    assert_eq!(answer.bytes().await.unwrap(), "the picture");
}

#[tokio::test]
async fn answers_in_the_format_that_was_asked_for() {
    let harness = Harness::new().await;
    for (format, media_type, name) in [("webp", "image/webp", "_x4.webp"), ("jpeg", "image/jpeg", "_x4.jpg")] {
        let path = format!("/enhance?scale=4&format={format}&quality=80&max_side=64");
        let (answer, ()) = tokio::join!(harness.post(&path, Some(png(20, 10)), &[]), async {
            let (job, lease) = harness.claim().await;
            assert_eq!((job.params.quality.percent(), job.params.max_side.unwrap().pixels()), (80, 64));
            harness.succeed(&lease, b"the picture").await;
        });
        assert_eq!((answer.status().as_u16(), answer.headers()["content-type"].to_str().unwrap()), (200, media_type));
        let disposition = answer.headers()["content-disposition"].to_str().unwrap();
        assert!(disposition.contains(name), "{disposition}");
        assert_eq!(answer.bytes().await.unwrap(), "the picture");
    }
}

#[tokio::test]
async fn noise_is_left_by_a_network_that_has_a_weak_denoiser() {
    let harness = Harness::new().await;
    harness.announce(["realesrgan-x4plus", "strong", "weak"].map(|id| model(id, true)).into()).await;
    // The fleet is read again after half a second.
    for _ in 0..50 {
        let answer = harness.post("/jobs?denoise=0.35", Some(png(20, 10)), &[]).await;
        if answer.status() == 202 {
            let job = answer.json::<Value>().await.unwrap();
            assert_eq!((&job["params"]["model"], &job["params"]["denoise"]), (&json!("strong"), &json!(0.35)));
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the job is not accepted");
}

#[tokio::test]
async fn answers_with_the_error_of_the_job() {
    let harness = Harness::new().await;
    let (answer, ()) = tokio::join!(harness.post("/enhance", Some(png(20, 10)), &[]), async {
        let (_, lease) = harness.claim().await;
        let error = JobError::new(ErrorCode::ImageCorrupt, "The image cannot be decoded.");
        harness.store.finish(&lease, Outcome::Failed(error)).await.unwrap();
    });
    assert_eq!(answer.status(), 422);
    assert_eq!(problem(answer).await["code"], "image_corrupt");
}

#[tokio::test]
async fn past_its_timeout_the_job_goes_on() {
    let harness =
        Harness::builder().settings(|settings| settings.sync_timeout = Duration::from_millis(100)).start().await;
    let answer = harness.post("/enhance", Some(png(20, 10)), &[]).await;
    assert_eq!(answer.status(), 202);
    assert!(answer.headers().contains_key("location"));
    assert_eq!(answer.json::<Value>().await.unwrap()["status"], "queued");
    let (job, lease) = harness.claim().await;
    harness.succeed(&lease, b"png").await;
    assert_eq!(harness.json(&format!("/jobs/{}", job.id)).await["status"], "succeeded");
}

#[tokio::test]
async fn a_closed_connection_cancels_the_job() {
    let harness = Harness::new().await;
    let queued = async |jobs| harness.store.stats().await.unwrap().queued == jobs;
    let request = harness.http.post(harness.url("/enhance")).multipart(form(&[("a.png", png(20, 10))]));
    let call = tokio::spawn(request.send());
    until("the job is queued", async || queued(1).await).await;
    assert!(!call.is_finished(), "nobody works on the job, so there is no answer");
    call.abort();
    until("the job is canceled", async || queued(0).await).await;
    assert_eq!(harness.used().await, 0);
}

#[tokio::test]
async fn a_job_canceled_elsewhere_is_a_conflict() {
    let harness = Harness::new().await;
    let (answer, ()) = tokio::join!(harness.post("/enhance", Some(png(20, 10)), &[]), async {
        let (job, lease) = harness.claim().await;
        harness.store.cancel(job.id).await.unwrap();
        let settled = harness.store.finish(&lease, Outcome::Canceled).await.unwrap();
        assert_eq!(settled.status, Status::Canceled);
    });
    assert_eq!(answer.status(), 409);
    assert_eq!(problem(answer).await["code"], "canceled");
}
