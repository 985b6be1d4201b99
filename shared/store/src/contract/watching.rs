//! Who hears of what.

use super::*;

pub(super) async fn watchers_hear_of_each_change(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let mut watch = store.watch(id.0);
    let soon = Duration::from_secs(5);
    let (_, lease) = claim(&*store).await;
    tokio::time::timeout(soon, watch.changed()).await.unwrap();
    store.progress(&lease, 0.1).await.unwrap();
    tokio::time::timeout(soon, watch.changed()).await.unwrap();
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    tokio::time::timeout(soon, watch.changed()).await.unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), watch.changed()).await.is_err());
}

pub(super) async fn a_submit_wakes_a_waiting_worker(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let waiting = Arc::clone(&store);
    let (looked, has_looked) = tokio::sync::oneshot::channel();
    let worker = tokio::spawn(async move {
        assert!(matches!(waiting.claim(&request()).await.unwrap(), Claim::Nothing { .. }));
        looked.send(()).unwrap();
        loop {
            waiting.wait_for_work(Duration::from_secs(60)).await;
            if let Claim::Job(job, _) = waiting.claim(&request()).await.unwrap() {
                return job.id;
            }
        }
    });
    has_looked.await.unwrap();
    let id = submit(&*store, 1, 1).await[0];
    let claimed = tokio::time::timeout(Duration::from_secs(5), worker).await.unwrap().unwrap();
    assert_eq!(claimed, id);
}

pub(super) async fn workers_are_known_by_what_they_said_last(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let worker = |name: &str, in_flight| Announcement {
        name: name.into(),
        version: "1.2.3".into(),
        device: "cuda:0".into(),
        models: vec![remaster_shared::catalogue::upscaler("realesrgan-x4plus", true)],
        jobs: 2,
        in_flight,
        stopping: false,
        paused: None,
    };
    assert!(store.workers().await.unwrap().is_empty());
    for said in [worker("b", 0), worker("a", 0), worker("b", 1)] {
        store.announce(&said).await.unwrap();
    }
    let seen = store.workers().await.unwrap();
    assert_eq!(seen.iter().map(|seen| &seen.said).collect::<Vec<_>>(), [&worker("a", 0), &worker("b", 1)]);
    assert!(seen.iter().all(|seen| seen.at == start() && seen.is_live(store.now())));

    clock.advance(WORKER_SEEN);
    store.announce(&Announcement { stopping: true, ..worker("b", 0) }).await.unwrap();
    let seen = store.workers().await.unwrap();
    assert_eq!((seen.len(), seen.iter().filter(|seen| seen.is_live(store.now())).count()), (2, 0));
    clock.advance(WORKER_REMEMBERED - WORKER_SEEN);
    let seen = store.workers().await.unwrap();
    assert_eq!(seen.iter().map(|seen| seen.said.name.as_str()).collect::<Vec<_>>(), ["b"]);
}
