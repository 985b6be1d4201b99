//! What is left of a job when its result has expired, and when its record has.

use std::time::Duration;

use remaster_shared::clock::ManualClock;
use remaster_store::Policy;

use crate::fixtures::png;
use crate::harness::{Harness, problem};

#[tokio::test]
async fn a_result_expires_first_and_the_record_a_day_later() {
    let clock = ManualClock::at("2026-03-01T12:00:00Z".parse().unwrap());
    let harness = Harness::builder().clock(clock.clone()).start().await;
    let batch = harness.submit_batch(&[("a.png", png(10, 10)), ("b.png", png(10, 10))]).await;
    let batch = format!("/batches/{}", batch["id"].as_str().unwrap());
    let (first, lease) = harness.claim().await;
    harness.succeed(&lease, b"first").await;
    clock.advance(Duration::from_secs(3600));
    let (second, lease) = harness.claim().await;
    harness.succeed(&lease, b"second").await;
    let (first, second) = (format!("/jobs/{}", first.id), format!("/jobs/{}", second.id));
    let zip = format!("{batch}/results.zip");
    let shown = harness.json(&batch).await;
    // A batch expires when the first of its results does.
    assert_eq!(
        (&shown["expires_at"], harness.get(&zip).await.status().as_u16()),
        (&"2026-03-02T12:00:00Z".into(), 200)
    );

    clock.advance(Policy::default().result_ttl - Duration::from_secs(1800));
    // It is over before a worker has swept it away, too.
    for swept in [false, true] {
        if swept {
            assert_eq!(harness.store.reap().await.unwrap().expired, 1);
        }
        let gone = problem(harness.get(&format!("{first}/result")).await).await;
        assert_eq!((gone["status"].as_u64(), &gone["code"]), (Some(410), &"result_expired".into()), "{swept}");
        let job = harness.json(&first).await;
        assert_eq!((&job["status"], job.get("result")), (&"expired".into(), None));
        assert_eq!(harness.get(&format!("{second}/result")).await.bytes().await.unwrap(), "second");
        // A ZIP without the first picture would look complete, so there is none.
        let gone = problem(harness.get(&zip).await).await;
        assert_eq!((gone["status"].as_u64(), &gone["code"]), (Some(410), &"result_expired".into()));
        let shown = harness.json(&batch).await;
        assert_eq!((&shown["status"], &shown["counts"]["succeeded"]), (&"finished".into(), &2.into()));
    }

    clock.advance(Policy::default().record_ttl + Duration::from_secs(3600));
    harness.store.reap().await.unwrap();
    let garbage = harness.store.garbage(10).await.unwrap();
    assert_eq!(garbage.len(), 4, "two inputs and two results");
    harness.store.collected(garbage).await.unwrap();
    clock.advance(Duration::from_secs(3600));
    harness.store.reap().await.unwrap();
    for path in [first, second, batch] {
        assert_eq!(problem(harness.get(&path).await).await["code"], "not_found");
    }
}
