//! Server-Sent Events: the state first, then each change, then the end.

use std::time::{Duration, Instant};

use futures::StreamExt;
use reqwest::Response;
use serde_json::Value;

use crate::harness::Harness;

/// The events of a stream that has ended: (id, job).
async fn all(response: Response) -> Vec<(String, Value)> {
    parse(&response.text().await.unwrap())
}

fn parse(text: &str) -> Vec<(String, Value)> {
    let events = text.split("\n\n").filter(|event| event.contains("data:"));
    let field = |event: &str, name: &str| {
        let line =
            event.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {event}"));
        line.trim().to_owned()
    };
    events
        .map(|event| {
            assert_eq!(field(event, "event:"), "job");
            (field(event, "id:"), serde_json::from_str(&field(event, "data:")).unwrap())
        })
        .collect()
}

#[tokio::test]
async fn a_job_is_followed_to_its_end() {
    let harness = Harness::new().await;
    let job = harness.submit().await;
    let path = format!("/jobs/{}/events", job["id"].as_str().unwrap());
    assert!(job["urls"]["events"].as_str().unwrap().ends_with(&path));
    let response = harness.get(&path).await;
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let following = tokio::spawn(all(response));
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (_, lease) = harness.claim().await;
    let began = Instant::now();
    tokio::time::sleep(Duration::from_millis(300)).await;
    for step in 1..=50 {
        harness.store.progress(&lease, f64::from(step) / 100.0).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    harness.succeed(&lease, b"png").await;
    let events = tokio::time::timeout(Duration::from_secs(5), following).await.expect("the stream ends").unwrap();

    let states: Vec<_> = events.iter().map(|(_, job)| job["status"].as_str().unwrap()).collect();
    assert_eq!((states[0], *states.last().unwrap()), ("queued", "succeeded"));
    assert!(states.iter().filter(|state| **state == "succeeded").count() == 1, "{states:?}");
    // 50 changes are told as a few: four a second, and the first and the last state.
    let most = 3 + began.elapsed().as_millis() as usize / 250;
    assert!((3..=most).contains(&events.len()) && events.len() < 40, "{most} {states:?}");
    assert_eq!(
        events.last().unwrap().1,
        harness.get(&path.replace("/events", "")).await.json::<Value>().await.unwrap()
    );

    // Who has heard the end is told that nothing more comes; who has not hears it now.
    let heard = &events.last().unwrap().0;
    let again = harness.http.get(harness.url(&path)).header("last-event-id", heard).send().await.unwrap();
    assert_eq!(again.status(), 204);
    let late = harness.http.get(harness.url(&path)).header("last-event-id", &events[0].0).send().await.unwrap();
    assert_eq!(all(late).await.len(), 1);
    assert_eq!(harness.get("/jobs/6f2f0f5e-3f43-4a8f-9a43-0a8f0c1d2e3f/events").await.status(), 404);
}

#[tokio::test]
async fn fifty_streams_and_fifty_waits_hear_of_the_end_at_once() {
    let harness = Harness::new().await;
    let job = harness.submit().await;
    let id = job["id"].as_str().unwrap().to_owned();
    let mut waiting = Vec::new();
    for number in 0..100 {
        let path = if number % 2 == 0 { format!("/jobs/{id}/events") } else { format!("/jobs/{id}?wait=30") };
        let response = harness.http.get(harness.url(&path)).send();
        waiting.push(tokio::spawn(async move {
            let mut body = response.await.unwrap().bytes_stream();
            let mut text = String::new();
            while let Some(piece) = body.next().await {
                text.push_str(&String::from_utf8_lossy(&piece.unwrap()));
            }
            assert!(text.contains("canceled"), "{text}");
            Instant::now()
        }));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()));
    harness.http.delete(harness.url(&format!("/jobs/{id}"))).send().await.unwrap();
    let ended = Instant::now();
    for waiter in waiting {
        let heard = waiter.await.unwrap();
        let late = heard.saturating_duration_since(ended);
        assert!(late < Duration::from_millis(1000), "{late:?}");
    }
}
