//! The daily quota under a crowd, and its headers.

use serde_json::Value;

use crate::harness::{Harness, png, problem};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_at_once_against_a_limit_of_a_hundred() {
    let harness = std::sync::Arc::new(Harness::new().await);
    let picture = png(16, 16);
    let submits = (0..1000).map(|_| {
        let (harness, picture) = (harness.clone(), picture.clone());
        tokio::spawn(async move {
            let request = harness.http.post(harness.url("/jobs")).header("content-type", "image/png").body(picture);
            let response = request.send().await.unwrap();
            let headers = response.headers();
            assert_eq!(headers["x-quota-limit"], "100");
            assert_eq!(headers["ratelimit-policy"], "\"daily\";q=100;w=86400");
            assert!(headers["ratelimit"].to_str().unwrap().starts_with("\"daily\";r="));
            let reset = headers["x-quota-reset"].to_str().unwrap();
            assert!(reset.ends_with("T00:00:00Z"), "{reset}");
            match response.status().as_u16() {
                202 => true,
                429 => {
                    assert_eq!(headers["x-quota-used"], "100");
                    let seconds: u64 = headers["retry-after"].to_str().unwrap().parse().unwrap();
                    assert!((1..=86_400).contains(&seconds));
                    assert_eq!(problem(response).await["code"], "quota_exceeded");
                    false
                }
                other => panic!("{other}"),
            }
        })
    });
    let answers = futures::future::join_all(submits).await;
    let accepted = answers.into_iter().filter(|answer| *answer.as_ref().unwrap()).count();
    assert_eq!(accepted, 100);
    let quota: Value = harness.get("/quota").await.json().await.unwrap();
    assert_eq!((&quota["used"], &quota["remaining"]), (&100.into(), &0.into()));
    let stats: Value = harness.get("/stats").await.json().await.unwrap();
    assert_eq!((&stats["total_requests_today"], &stats["queue_depth"]), (&100.into(), &100.into()));
    // Of the refused uploads nothing is left.
    assert_eq!(harness.files(), (100, 0));
}
