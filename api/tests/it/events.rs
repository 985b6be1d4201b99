//! Server-Sent Events: the present state first, then each change, then the end.

use std::time::{Duration, Instant};

use futures::StreamExt;
use remaster_api::ApiSettings;

use crate::fixtures::png;
use crate::harness::{Harness, problem};
use crate::sse::Events;

#[tokio::test]
async fn a_job_is_followed_to_its_end() {
    let harness = Harness::new().await;
    let job = harness.submit().await;
    let path = format!("/jobs/{}/events", job["id"].as_str().unwrap());
    assert!(job["urls"]["events"].as_str().unwrap().ends_with(&path));
    let began = Instant::now();
    let mut stream = harness.events(&path).await;
    let mut events = vec![stream.next().await.unwrap()];
    let (_, lease) = harness.claim().await;
    // Progress is reported without a pause until the client has received some of it.
    let mut changes = 0_u32;
    while events.len() < 5 {
        let progress = 1.0 - 1.0 / f64::from(changes + 2);
        tokio::select! {
            event = stream.next() => events.push(event.unwrap()),
            reported = harness.store.progress(&lease, progress) => {
                reported.unwrap();
                changes += 1;
            }
        }
    }
    harness.succeed(&lease, b"png").await;
    events.extend(stream.rest().await);

    assert!(events.iter().all(|event| event.name == "job" && event.id.is_some()));
    let states: Vec<_> = events.iter().map(|event| event.data["status"].as_str().unwrap()).collect();
    assert_eq!((states[0], *states.last().unwrap()), ("queued", "succeeded"));
    assert_eq!(states.iter().filter(|state| **state == "succeeded").count(), 1, "{states:?}");
    // At most four changes a second are sent, and besides them the first state and the end.
    let most = 3 + began.elapsed().as_millis() as usize / 250;
    assert!(events.len() <= most && events.len() < changes as usize, "{changes} changes, {most}, {states:?}");
    assert_eq!(events.last().unwrap().data, harness.json(&path.replace("/events", "")).await);

    // A client that has received the end is told that nothing more comes, and another one receives it now.
    let resume = async |id: &Option<String>| {
        let request = harness.http.get(harness.url(&path)).header("last-event-id", id.as_ref().unwrap());
        request.send().await.unwrap()
    };
    assert_eq!(resume(&events.last().unwrap().id).await.status(), 204);
    assert_eq!(Events::new(resume(&events[0].id).await).rest().await.len(), 1);
    assert_eq!(harness.get("/jobs/6f2f0f5e-3f43-4a8f-9a43-0a8f0c1d2e3f/events").await.status(), 404);
}

#[tokio::test]
async fn fifty_streams_and_fifty_waits_end_with_the_job() {
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
    harness.until_subscribed(100).await;
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()));
    harness.http.delete(harness.url(&format!("/jobs/{id}"))).send().await.unwrap();
    let ended = Instant::now();
    for waiter in waiting {
        let heard = waiter.await.unwrap();
        let late = heard.saturating_duration_since(ended);
        assert!(late < Duration::from_millis(1000), "{late:?}");
    }
}

/// Each follower once read, rendered and hashed the whole batch for itself.
#[tokio::test]
async fn many_followers_of_a_batch_share_its_reads() {
    let harness = Harness::new().await;
    let batch = harness.submit_batch(&[("a.png", png(9, 9)), ("b.png", png(9, 9))]).await;
    let path = format!("/batches/{}/events", batch["id"].as_str().unwrap());
    let mut followers = Vec::new();
    for _ in 0..200 {
        let mut events = harness.events(&path).await;
        assert_eq!(events.next().await.unwrap().name, "batch");
        followers.push(events);
    }
    let before = harness.counts.batch_reads();
    let (_, lease) = harness.claim().await;
    harness.succeed(&lease, b"png").await;
    let told = followers.iter_mut().map(|events| events.until(|event| event.data["status"] == "succeeded"));
    for events in futures::future::join_all(told).await {
        assert_eq!(events.last().unwrap().name, "job");
    }
    let reads = harness.counts.batch_reads() - before;
    // Two changes, and each may be seen by a read that was under way and by the next one; a few more where the machine is slow.
    assert!(reads < 40, "{reads} reads for 200 followers");
}

#[tokio::test]
async fn one_client_follows_so_many_jobs_and_holds_up_nobody_else() {
    let trusting = |settings: &mut ApiSettings| settings.trusted_proxies = "loopback".parse().unwrap();
    let harness = Harness::builder().settings(trusting).start().await;
    let job = harness.submit().await;
    let looked_at = format!("/jobs/{}", job["id"].as_str().unwrap());
    let path = format!("{looked_at}/events");
    let mut followers = Vec::new();
    for _ in 0..256 {
        let mut events = harness.events(&path).await;
        assert_eq!(events.next().await.unwrap().name, "job");
        followers.push(events);
    }
    let get = async |path: &str| harness.http.get(harness.url(path)).send().await.unwrap();
    let of_another = harness.http.get(harness.url(&path)).header("x-forwarded-for", "203.0.113.9");
    assert_eq!(of_another.send().await.unwrap().status(), 200);
    let long_poll = format!("{looked_at}?wait=1");
    let (refused, waiting) = tokio::join!(get(&path), get(&long_poll));
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!((refused.status().as_u16(), waiting.status().as_u16()), (503, 503));
    assert_eq!(problem(refused).await["code"], "overloaded");
    assert_eq!(get(&looked_at).await.status(), 200, "a look holds nothing");
    followers.pop();
    assert_eq!(get(&path).await.status(), 200);
}
