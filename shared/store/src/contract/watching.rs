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
    // A change may be told more than once, but not for ever.
    let quiet = async { while tokio::time::timeout(Duration::from_millis(200), watch.changed()).await.is_ok() {} };
    tokio::time::timeout(soon, quiet).await.expect("nothing changes any more");
}

pub(super) async fn a_job_wakes_one_worker_and_a_claim_the_next(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let claimed = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let (store, claimed) = (Arc::clone(&store), Arc::clone(&claimed));
        workers.spawn(async move {
            loop {
                store.wait_for_work(&request().skills, Duration::from_secs(60)).await;
                while let Claim::Job(..) = store.claim(&request()).await.unwrap() {
                    claimed.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    // While this worker is busy, the others have to be woken for what is left.
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
        });
    }
    for round in 1..=3 {
        submit(&*store, 1, 1).await;
        submit(&*store, round, 9).await;
        let done = async {
            while claimed.load(std::sync::atomic::Ordering::SeqCst) < usize::from(round) * 10 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(5), done).await.expect("nobody sleeps while jobs wait");
    }
}

pub(super) async fn a_submit_wakes_a_waiting_worker(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let waiting = Arc::clone(&store);
    let (looked, has_looked) = tokio::sync::oneshot::channel();
    let worker = tokio::spawn(async move {
        assert!(matches!(waiting.claim(&request()).await.unwrap(), Claim::Nothing { .. }));
        looked.send(()).unwrap();
        loop {
            waiting.wait_for_work(&request().skills, Duration::from_secs(60)).await;
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
