//! Submitting: the quota, idempotency keys, the bound on the queue.

use super::*;

pub(super) async fn the_quota_is_never_overdrawn(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let limit = Policy::default().daily_limit;
    let tries = (0..40).map(|_| {
        let store = Arc::clone(&store);
        let jobs = (0..400).map(|_| new_job()).collect();
        tokio::spawn(async move { store.submit(NewJobs::new(client(1), jobs)).await })
    });
    let mut accepted = 0;
    for answer in futures::future::join_all(tries).await {
        match answer.unwrap() {
            Ok(submitted) => accepted += submitted.jobs.len() as u64,
            Err(SubmitError::QuotaExceeded(quota)) => assert_eq!((quota.used, quota.remaining), (limit, 0)),
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(accepted, limit);
    assert_eq!(used(&*store, 1).await, limit);
    assert_eq!(store.stats().await.unwrap().queued, limit);
    // Others have a quota of their own, and the next day is a new one.
    submit(&*store, 2, 1).await;
    clock.advance(Duration::from_secs(12 * 3600));
    assert_eq!(used(&*store, 1).await, 0);
    submit(&*store, 1, 1).await;
}

pub(super) async fn a_batch_is_charged_whole_or_not(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let limit = Policy::default().daily_limit as usize;
    submit(&*store, 1, limit - 2).await;
    let refused = store.submit(NewJobs::new(client(1), (0..3).map(|_| new_job()).collect())).await;
    assert!(matches!(refused, Err(SubmitError::QuotaExceeded(quota)) if quota.remaining == 2));
    assert_eq!(used(&*store, 1).await, limit as u64 - 2);
    assert_eq!(submit(&*store, 1, 2).await.len(), 2);
}

pub(super) async fn a_key_stands_for_one_submit(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let keyed = |number, key: &str, payload: &[u8]| NewJobs {
        idempotency: Some(Idempotency {
            key: key.parse().unwrap(),
            fingerprint: FingerprintBuilder::new().part("file", payload).finish(),
        }),
        ..NewJobs::new(client(number), vec![new_job_of(client(number)), new_job_of(client(number))])
    };
    let knows = async |number| store.knows(client(number), &"k:{}1".parse().unwrap()).await.unwrap();
    assert!(!knows(1).await);
    let at_once = (0..20).map(|_| store.submit(keyed(1, "k:{}1", b"a")));
    let answers = futures::future::join_all(at_once).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let ids = |submitted: &Submitted| submitted.jobs.iter().map(|job| job.id).collect::<Vec<_>>();
    assert_eq!(answers.iter().filter(|answer| !answer.replayed).count(), 1);
    assert!(answers.iter().all(|answer| ids(answer) == ids(&answers[0])));
    assert_eq!((used(&*store, 1).await, store.stats().await.unwrap().queued), (2, 2));

    assert!(knows(1).await && !knows(2).await);
    assert!(matches!(store.submit(keyed(1, "k:{}1", b"b")).await, Err(SubmitError::KeyReused)));
    for (number, key, payload) in [(2, "k:{}1", b"b"), (1, "k2", b"b")] {
        assert!(!store.submit(keyed(number, key, payload)).await.unwrap().replayed);
    }
    // A job goes on meanwhile: its present state is the answer.
    while claim(&*store).await.0.id != answers[0].jobs[0].id {}
    let again = store.submit(keyed(1, "k:{}1", b"a")).await.unwrap();
    assert_eq!((again.replayed, ids(&again), again.jobs[0].status), (true, ids(&answers[0]), Status::Processing));

    clock.advance(IDEMPOTENCY_TTL);
    assert!(!knows(1).await);
    store.reap().await.unwrap();
    assert!(!store.submit(keyed(1, "k:{}1", b"b")).await.unwrap().replayed);
}

pub(super) async fn a_refused_submit_leaves_its_key_free(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let limit = Policy::default().daily_limit as usize;
    submit(&*store, 1, limit - 1).await;
    let keyed = |jobs| NewJobs {
        idempotency: Some(Idempotency { key: "k".parse().unwrap(), fingerprint: FingerprintBuilder::new().finish() }),
        ..NewJobs::new(client(1), (0..jobs).map(|_| new_job()).collect())
    };
    assert!(matches!(store.submit(keyed(2)).await, Err(SubmitError::QuotaExceeded(_))));
    assert!(!store.submit(keyed(1)).await.unwrap().replayed);
    // And a replay needs no quota.
    assert!(store.submit(keyed(1)).await.unwrap().replayed);
}

pub(super) async fn a_full_queue_refuses_and_charges_nothing(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let max = Policy::default().max_queue;
    let per_client = Policy::default().daily_limit;
    for number in 0..max / per_client {
        submit(&*store, 10 + number as u8, per_client as usize).await;
    }
    let refused = store.submit(NewJobs::new(client(1), vec![new_job()])).await;
    assert!(matches!(refused, Err(SubmitError::QueueFull { waiting, limit }) if waiting == max && limit == max));
    assert_eq!(used(&*store, 1).await, 0);
    claim(&*store).await;
    submit(&*store, 1, 1).await;
}

pub(super) async fn stats_count_today(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    submit(&*store, 1, 3).await;
    submit(&*store, 2, 1).await;
    claim(&*store).await;
    let stats = store.stats().await.unwrap();
    assert_eq!(stats, Stats { clients_today: 2, requests_today: 4, queued: 3, processing: 1 });
    clock.advance(Duration::from_secs(86_400));
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.clients_today, stats.requests_today), (0, 0));
}
