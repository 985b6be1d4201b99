//! The contract suite: what every store does, as tests that run against each implementation.
//!
//! A backend runs it with `contract_tests!(make)`, where `make` is an async function from [`Policy`] and a clock to
//! something that holds a [`Store`].

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;

mod batches;
mod hooks;

use super::*;
use crate::clock::ManualClock;
use crate::error::ErrorCode;
use crate::fleet::{WORKER_REMEMBERED, WORKER_SEEN};
use crate::idempotency::FingerprintBuilder;
use crate::job::{FaceMode, FaceReport, FaceStatus, MetadataPolicy, ModelId, PictureFormat, Scale, Status};

pub use batches::*;
pub use hooks::*;

pub fn start() -> Timestamp {
    "2026-03-01T12:00:00Z".parse().unwrap()
}

pub fn client(number: u8) -> ClientKey {
    ClientKey([number; 16])
}

pub fn new_job() -> NewJob {
    let params = EnhanceParams {
        scale: Scale::X2,
        model: ModelId::parse("realesrgan-x4plus").unwrap(),
        faces: FaceMode::Auto,
        face_strength: 1.0,
        background: true,
        metadata: MetadataPolicy::Strip,
    };
    let input = InputInfo {
        filename: Some("a.jpg".into()),
        format: Some(PictureFormat::Jpeg),
        width: 1000,
        height: 500,
        bytes: 12_345,
    };
    NewJob::new(JobId::random(), params, input)
}

pub fn result() -> JobResult {
    JobResult {
        width: 2000,
        height: 1000,
        bytes: 99,
        sha256: "00".repeat(32),
        faces: FaceReport { found: 0, restored: 0, status: FaceStatus::NoneFound },
    }
}

pub async fn submit(store: &dyn Store, number: u8, jobs: usize) -> Vec<JobId> {
    let new = NewJobs::new(client(number), (0..jobs).map(|_| new_job()).collect());
    store.submit(new).await.unwrap().jobs.iter().map(|job| job.id).collect()
}

async fn claim(store: &dyn Store) -> (JobRecord, Lease) {
    match store.claim("w").await.unwrap() {
        Claim::Job(job, lease) => (*job, lease),
        Claim::Nothing { next } => panic!("nothing to claim; next in {next:?}"),
    }
}

async fn idle(store: &dyn Store) -> Option<Duration> {
    match store.claim("w").await.unwrap() {
        Claim::Nothing { next } => next,
        Claim::Job(job, _) => panic!("claimed {:?}", job.id),
    }
}

async fn status(store: &dyn Store, job: JobId) -> Status {
    store.get(job).await.unwrap().unwrap().status
}

async fn used(store: &dyn Store, number: u8) -> u64 {
    store.quota(client(number)).await.unwrap().used
}

pub async fn a_job_goes_its_way(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let queued = store.get(id).await.unwrap().unwrap();
    assert_eq!((queued.status, queued.position, queued.attempt), (Status::Queued, Some(1), 0));
    assert_eq!((queued.created_at, queued.input.filename.as_deref()), (start(), Some("a.jpg")));

    clock.advance(Duration::from_secs(2));
    let (job, lease) = claim(&*store).await;
    assert_eq!((job.id, job.status, job.attempt), (id, Status::Processing, 1));
    store.progress(&lease, 0.5).await.unwrap();
    assert_eq!(store.get(id).await.unwrap().unwrap().progress, 0.5);
    assert_eq!(store.heartbeat(&lease).await.unwrap(), Beat::GoOn);

    let done = store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.get(id).await.unwrap().unwrap(), done);
    assert_eq!((done.status, done.progress, done.result), (Status::Succeeded, 1.0, Some(result())));
    assert_eq!(done.expires_at, Some(store.now() + Policy::default().result_ttl));
    assert!(matches!(store.finish(&lease, Outcome::Canceled).await, Err(LeaseError::Lost)));
    assert_eq!(idle(&*store).await, None);
    assert!(store.get(JobId::random()).await.unwrap().is_none());
}

pub async fn the_quota_is_never_overdrawn(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
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

pub async fn a_batch_is_charged_whole_or_not(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let limit = Policy::default().daily_limit as usize;
    submit(&*store, 1, limit - 2).await;
    let refused = store.submit(NewJobs::new(client(1), (0..3).map(|_| new_job()).collect())).await;
    assert!(matches!(refused, Err(SubmitError::QuotaExceeded(quota)) if quota.remaining == 2));
    assert_eq!(used(&*store, 1).await, limit as u64 - 2);
    assert_eq!(submit(&*store, 1, 2).await.len(), 2);
}

pub async fn a_key_stands_for_one_submit(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let keyed = |number, key: &str, payload: &[u8]| NewJobs {
        idempotency: Some(Idempotency {
            key: key.parse().unwrap(),
            fingerprint: FingerprintBuilder::new().part("file", payload).finish(),
        }),
        ..NewJobs::new(client(number), vec![new_job(), new_job()])
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

pub async fn a_refused_submit_leaves_its_key_free(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
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

pub async fn a_full_queue_refuses_and_charges_nothing(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
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

pub async fn one_photo_does_not_wait_for_a_batch(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    submit(&*store, 1, 2000).await;
    for claimed_before in [0, 1, 5] {
        for _ in 0..claimed_before {
            claim(&*store).await;
        }
        let single = submit(&*store, 2 + claimed_before, 1).await[0];
        assert_eq!(store.get(single).await.unwrap().unwrap().position, Some(1));
        assert_eq!(claim(&*store).await.0.id, single, "after {claimed_before} claims");
    }
}

pub async fn clients_take_turns_by_cost(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    // Client 1's pictures are four times client 2's.
    let small = |_| {
        let mut job = new_job();
        (job.input.width, job.input.height) = (500, 250);
        job
    };
    store.submit(NewJobs::new(client(1), (0..100).map(|_| new_job()).collect())).await.unwrap();
    store.submit(NewJobs::new(client(2), (0..100).map(small).collect())).await.unwrap();
    let mut turns = [0, 0];
    for _ in 0..50 {
        let (job, _) = claim(&*store).await;
        turns[usize::from(job.client == client(2))] += 1;
    }
    assert!((36..=44).contains(&turns[1]), "{turns:?}");
}

pub async fn an_idle_client_saves_no_turns(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    submit(&*store, 1, 50).await;
    submit(&*store, 2, 1).await;
    for _ in 0..30 {
        claim(&*store).await;
    }
    // Client 2 was idle for most of that; it now alternates, and does not catch up.
    submit(&*store, 2, 10).await;
    let mut of_two = 0;
    for _ in 0..10 {
        of_two += usize::from(claim(&*store).await.0.client == client(2));
    }
    assert!((5..=6).contains(&of_two), "{of_two}");
}

/// Who was served hours ago, when nobody waited, owes nothing for it.
pub async fn a_returning_client_is_like_a_new_one(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    for number in [1, 3] {
        let mut large = new_job();
        (large.input.width, large.input.height) = (4000, 3000);
        store.submit(NewJobs::new(client(number), vec![large])).await.unwrap();
        let (_, lease) = claim(&*store).await;
        store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    }
    submit(&*store, 2, 100).await;
    claim(&*store).await;
    let single = submit(&*store, 1, 1).await[0];
    assert_eq!(claim(&*store).await.0.id, single);
}

/// A client whose job came back for a retry after a while gets no turns for the time it waited.
pub async fn a_retry_brings_no_old_turns_back(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    submit(&*store, 1, 1).await;
    let (_, lease) = claim(&*store).await;
    submit(&*store, 2, 60).await;
    for _ in 0..40 {
        claim(&*store).await;
    }
    store.finish(&lease, Outcome::Failed(JobError::internal())).await.unwrap();
    clock.advance(Duration::from_secs(20));
    submit(&*store, 1, 20).await;
    let mut of_one = 0;
    for _ in 0..10 {
        of_one += usize::from(claim(&*store).await.0.client == client(1));
    }
    assert!((5..=6).contains(&of_one), "{of_one}");
}

pub async fn a_client_s_jobs_keep_their_order(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 20).await;
    for id in ids {
        assert_eq!(claim(&*store).await.0.id, id);
    }
}

pub async fn a_lost_lease_is_fenced(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, old) = claim(&*store).await;
    let lease = Policy::default().lease;
    clock.advance(lease - Duration::from_secs(1));
    assert_eq!(store.heartbeat(&old).await.unwrap(), Beat::GoOn);
    clock.advance(lease - Duration::from_secs(1));
    assert_eq!(idle(&*store).await, Some(Duration::from_secs(1)));
    clock.advance(Duration::from_secs(2));

    let (job, new) = claim(&*store).await;
    assert_eq!((job.id, job.attempt), (id, 2));
    assert!(new.token > old.token);
    assert!(matches!(store.heartbeat(&old).await, Err(LeaseError::Lost)));
    assert!(matches!(store.progress(&old, 0.9).await, Err(LeaseError::Lost)));
    assert!(matches!(store.release(&old).await, Err(LeaseError::Lost)));
    let late = store.finish(&old, Outcome::Succeeded(result())).await;
    assert!(matches!(late, Err(LeaseError::Lost)));
    assert_eq!(status(&*store, id).await, Status::Processing);
    store.finish(&new, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(used(&*store, 1).await, 1);
}

pub async fn a_job_that_kills_its_workers_is_poison(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    for attempt in 1..=Policy::default().max_attempts {
        assert_eq!(claim(&*store).await.0.attempt, attempt);
        clock.advance(Policy::default().lease * 2);
    }
    assert_eq!(store.reap().await.unwrap().poisoned, 1);
    let job = store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.error.unwrap().code), (Status::Failed, ErrorCode::Poison));
    assert_eq!(used(&*store, 1).await, 0);
    assert_eq!(idle(&*store).await, None);
}

pub async fn what_may_pass_is_retried_and_then_refunded(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    for attempt in 1..=Policy::default().max_attempts {
        let (job, lease) = claim(&*store).await;
        assert_eq!(job.attempt, attempt);
        store.finish(&lease, Outcome::Failed(JobError::internal())).await.unwrap();
        if attempt < Policy::default().max_attempts {
            let wait = idle(&*store).await.expect("a retry is due later");
            assert_eq!(status(&*store, id).await, Status::Queued);
            assert_eq!(used(&*store, 1).await, 1);
            let base = Policy::default().retry_after * 2_u32.pow(attempt - 1);
            assert!(wait > base / 2 && wait < base * 2, "{wait:?} after attempt {attempt}");
            clock.advance(wait);
        }
    }
    let job = store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.error), (Status::Failed, Some(JobError::internal())));
    assert_eq!(used(&*store, 1).await, 0);
}

pub async fn what_is_the_caller_s_fault_is_final_and_charged(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    let error = JobError::new(ErrorCode::ImageCorrupt, "cut short");
    store.finish(&lease, Outcome::Failed(error.clone())).await.unwrap();
    let job = store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.error, job.attempt), (Status::Failed, Some(error), 1));
    assert_eq!(used(&*store, 1).await, 1);
    assert_eq!(idle(&*store).await, None);
}

pub async fn a_retry_costs_no_second_turn(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let first = submit(&*store, 1, 2).await[0];
    let (_, lease) = claim(&*store).await;
    store.finish(&lease, Outcome::Failed(JobError::internal())).await.unwrap();
    clock.advance(Duration::from_secs(60));
    submit(&*store, 2, 2).await;
    let order: Vec<_> = [claim(&*store).await, claim(&*store).await, claim(&*store).await]
        .into_iter()
        .map(|(job, _)| (job.client, job.id))
        .collect();
    // 2 goes first, for 1 was served; then the clock of both stands alike and 1's retry is its oldest job.
    assert_eq!(order[0].0, client(2));
    assert!(order[1..].contains(&(client(1), first)), "{order:?}");
}

pub async fn shutdown_gives_the_job_back(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    store.release(&lease).await.unwrap();
    let job = store.get(id).await.unwrap().unwrap();
    assert_eq!((job.status, job.attempt, job.started_at), (Status::Queued, 0, None));
    let (job, again) = claim(&*store).await;
    assert_eq!((job.id, job.attempt), (id, 1));
    assert!(again.token > lease.token);
    assert!(matches!(store.heartbeat(&lease).await, Err(LeaseError::Lost)));
}

pub async fn a_queued_job_is_canceled_and_refunded(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 2).await;
    assert_eq!(store.cancel(ids[0]).await.unwrap().status, Status::Canceled);
    assert_eq!(used(&*store, 1).await, 1);
    assert_eq!(claim(&*store).await.0.id, ids[1]);
    assert_eq!(idle(&*store).await, Some(Policy::default().lease));
    assert!(matches!(store.cancel(ids[0]).await, Err(CancelError::AlreadyFinished(_))));
    assert!(matches!(store.cancel(JobId::random()).await, Err(CancelError::NotFound)));
    assert_eq!(used(&*store, 1).await, 1);
}

pub async fn a_submit_is_undone_when_its_answer_was_lost(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 2).await;
    for job in [ids[0], ids[0], JobId::random()] {
        store.withdraw(job).await.unwrap();
    }
    assert_eq!((status(&*store, ids[0]).await, used(&*store, 1).await), (Status::Canceled, 1));
    assert_eq!(claim(&*store).await.0.id, ids[1]);
    store.withdraw(ids[1]).await.unwrap();
    assert!(store.get(ids[1]).await.unwrap().unwrap().cancel_requested);
}

pub async fn a_running_job_is_asked_to_stop(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 4).await;
    let (_, stops) = claim(&*store).await;
    let (_, finishes) = claim(&*store).await;
    let (_, dies) = claim(&*store).await;
    let (_, released) = claim(&*store).await;
    for id in &ids {
        let job = store.cancel(*id).await.unwrap();
        assert_eq!((job.status, job.cancel_requested), (Status::Processing, true));
    }
    assert_eq!(store.heartbeat(&stops).await.unwrap(), Beat::Cancel);
    store.finish(&stops, Outcome::Canceled).await.unwrap();
    // A cancel that was accepted holds, also when the picture was ready a moment later.
    let job = store.finish(&finishes, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!((job.status, job.result), (Status::Canceled, None));
    store.release(&released).await.unwrap();
    drop(dies);
    clock.advance(Policy::default().lease * 2);
    store.reap().await.unwrap();
    for id in ids {
        assert_eq!(status(&*store, id).await, Status::Canceled);
    }
    // They had started: their units are spent.
    assert_eq!(used(&*store, 1).await, 4);
}

pub async fn blobs_without_use_are_named_until_gone(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    assert_eq!(store.garbage(10).await.unwrap(), []);
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(id)]);
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(id)]);
    store.collected(vec![BlobKey::Input(id)]).await.unwrap();
    assert_eq!(store.garbage(10).await.unwrap(), []);

    clock.advance(Policy::default().result_ttl);
    assert_eq!(store.reap().await.unwrap().expired, 1);
    assert_eq!(status(&*store, id).await, Status::Expired);
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Output(id, 1)]);

    // The record stays while it has something to remember.
    clock.advance(Policy::default().record_ttl * 2);
    assert_eq!(store.reap().await.unwrap().forgotten, 0);
    store.collected(vec![BlobKey::Output(id, 1)]).await.unwrap();
    assert_eq!(store.reap().await.unwrap().forgotten, 1);
    assert!(store.get(id).await.unwrap().is_none());
}

pub async fn a_canceled_picture_is_garbage(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    store.cancel(id).await.unwrap();
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(id), BlobKey::Output(id, 1)]);
}

pub async fn watchers_hear_of_each_change(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
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

pub async fn a_submit_wakes_a_waiting_worker(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let waiting = Arc::clone(&store);
    let worker = tokio::spawn(async move {
        loop {
            if let Claim::Job(job, _) = waiting.claim("w").await.unwrap() {
                return job.id;
            }
            waiting.wait_for_work(Duration::from_secs(60)).await;
        }
    });
    tokio::time::sleep(Duration::from_millis(30)).await;
    let id = submit(&*store, 1, 1).await[0];
    let claimed = tokio::time::timeout(Duration::from_secs(5), worker).await.unwrap().unwrap();
    assert_eq!(claimed, id);
}

pub async fn stats_count_today(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    submit(&*store, 1, 3).await;
    submit(&*store, 2, 1).await;
    claim(&*store).await;
    let stats = store.stats().await.unwrap();
    assert_eq!(stats, Stats { clients_today: 2, requests_today: 4, queued: 3, processing: 1 });
    clock.advance(Duration::from_secs(86_400));
    let stats = store.stats().await.unwrap();
    assert_eq!((stats.clients_today, stats.requests_today), (0, 0));
}

pub async fn workers_are_known_by_what_they_said_last(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let worker = |name: &str, in_flight| Announcement {
        name: name.into(),
        version: "1.2.3".into(),
        device: "cuda:0".into(),
        models: vec![crate::catalogue::tests::model("realesrgan-x4plus", true)],
        jobs: 2,
        in_flight,
        stopping: false,
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

pub async fn random_interleavings_follow_the_model_1(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    crate::store::model::interleave(store, clock, 1).await;
}

pub async fn random_interleavings_follow_the_model_2(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    crate::store::model::interleave(store, clock, 2).await;
}

pub async fn random_interleavings_follow_the_model_3(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    crate::store::model::interleave(store, clock, 3).await;
}

/// Many workers, many clients, random ends: every job ends once, and the quota adds up.
pub async fn nothing_is_lost_under_contention(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    const CLIENTS: u8 = 5;
    const JOBS: usize = 40;
    let mut ids = Vec::new();
    for number in 0..CLIENTS {
        ids.extend(submit(&*store, number, JOBS).await);
    }
    let workers = (0..8_u32).map(|worker| {
        let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
        tokio::spawn(async move {
            let mut succeeded = Vec::new();
            let mut step = worker;
            while let Claim::Job(job, lease) = store.claim("w").await.unwrap() {
                step = step.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                match step >> 29 {
                    // The worker dies.
                    0 => clock.advance(Policy::default().lease / 4),
                    1 => store.release(&lease).await.or_else(lost).unwrap(),
                    2 => store
                        .finish(&lease, Outcome::Failed(JobError::internal()))
                        .await
                        .map(drop)
                        .or_else(lost)
                        .unwrap(),
                    3 => drop(store.cancel(job.id).await),
                    _ => {
                        let finished = store.finish(&lease, Outcome::Succeeded(result())).await;
                        if finished.is_ok_and(|job| job.status == Status::Succeeded) {
                            succeeded.push(job.id);
                        }
                    }
                }
            }
            succeeded
        })
    });
    let mut succeeded = Vec::new();
    for worker in futures::future::join_all(workers).await {
        succeeded.extend(worker.unwrap());
    }
    // Whoever is left over is finished in peace.
    loop {
        clock.advance(Policy::default().lease * 2);
        store.reap().await.unwrap();
        match store.claim("w").await.unwrap() {
            Claim::Job(job, lease) => {
                store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
                succeeded.push(job.id);
            }
            Claim::Nothing { next: None } => break,
            Claim::Nothing { .. } => {}
        }
    }
    let unique: std::collections::HashSet<_> = succeeded.iter().collect();
    assert_eq!(unique.len(), succeeded.len(), "a job succeeded twice");
    let mut charged = 0;
    for id in ids {
        let job = store.get(id).await.unwrap().unwrap();
        assert!(job.status.is_terminal(), "{:?} is {}", id, job.status);
        assert_eq!(job.status == Status::Succeeded, unique.contains(&id));
        charged += u64::from(job.status != Status::Failed);
    }
    let mut total = 0;
    for number in 0..CLIENTS {
        total += used(&*store, number).await;
    }
    // Failed ones were refunded, here all through the service's fault. Canceled ones had started.
    assert_eq!(total, charged);
}

fn lost(error: LeaseError) -> Result<(), LeaseError> {
    match error {
        LeaseError::Lost => Ok(()),
        store => Err(store),
    }
}

macro_rules! contract_tests {
    ($make:path) => {
        $crate::store::contract::contract_tests!($make:
            a_job_goes_its_way
            the_quota_is_never_overdrawn
            a_batch_is_charged_whole_or_not
            a_key_stands_for_one_submit
            a_refused_submit_leaves_its_key_free
            a_full_queue_refuses_and_charges_nothing
            one_photo_does_not_wait_for_a_batch
            clients_take_turns_by_cost
            an_idle_client_saves_no_turns
            a_returning_client_is_like_a_new_one
            a_retry_brings_no_old_turns_back
            a_client_s_jobs_keep_their_order
            a_lost_lease_is_fenced
            a_job_that_kills_its_workers_is_poison
            what_may_pass_is_retried_and_then_refunded
            what_is_the_caller_s_fault_is_final_and_charged
            a_retry_costs_no_second_turn
            shutdown_gives_the_job_back
            a_queued_job_is_canceled_and_refunded
            a_submit_is_undone_when_its_answer_was_lost
            a_running_job_is_asked_to_stop
            blobs_without_use_are_named_until_gone
            a_canceled_picture_is_garbage
            watchers_hear_of_each_change
            a_submit_wakes_a_waiting_worker
            stats_count_today
            workers_are_known_by_what_they_said_last
            nothing_is_lost_under_contention
            a_batch_is_kept_together
            a_refused_file_has_failed_from_the_start
            the_rest_of_a_batch_is_canceled
            a_batch_is_remembered_as_long_as_its_jobs
            a_batch_s_watchers_hear_of_its_jobs
            a_webhook_is_due_with_its_job_s_end
            whatever_ends_a_job_makes_its_webhook_due
            a_batch_s_webhook_is_due_with_its_last_job
            a_delivery_is_its_holder_s_for_a_while
            a_failed_delivery_comes_again_and_ends
            one_host_cannot_take_every_turn
            who_is_still_to_be_told_keeps_the_record
            a_withdrawn_job_tells_nobody
            a_due_webhook_wakes_its_deliverer
            random_interleavings_follow_the_model_1
            random_interleavings_follow_the_model_2
            random_interleavings_follow_the_model_3
        );
    };
    ($make:path: $($name:ident)*) => { $(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let clock = $crate::clock::ManualClock::at($crate::store::contract::start());
            let (store, _guard) = $make($crate::store::Policy::default(), clock.clone()).await;
            $crate::store::contract::$name(store, clock).await;
        }
    )* };
}

pub(crate) use contract_tests;
