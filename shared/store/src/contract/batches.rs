//! Batches: kept, canceled and forgotten together.

use super::*;
use remaster_shared::job::BatchStatus;

pub fn batch_of(number: u8, jobs: Vec<NewJob>) -> (BatchId, NewJobs) {
    let id = BatchId::of(client(number));
    (id, NewJobs { batch: Some(id), ..NewJobs::new(client(number), jobs) })
}

fn refused(number: u8, name: &str) -> NewJob {
    let mut job = new_job_of(client(number));
    job.input = InputInfo {
        filename: Some(name.into()),
        format: None,
        width: 0,
        height: 0,
        bytes: 3,
        frames: None,
        alpha: false,
    };
    job.refused = Some(JobError::new(ErrorCode::UnsupportedFormat, "not an image"));
    job
}

pub(super) async fn a_batch_is_kept_together(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (id, new) = batch_of(1, (0..3).map(|_| new_job()).collect());
    let ids: Vec<_> = new.jobs.iter().map(|job| job.id).collect();
    let submitted = store.submit(new).await.unwrap();
    assert!(submitted.jobs.iter().all(|job| job.batch == Some(id)));
    assert_eq!(submitted.quota.used, 3);
    let batch = store.batch(id).await.unwrap().unwrap();
    assert_eq!(batch.jobs.iter().map(|job| job.id).collect::<Vec<_>>(), ids);
    assert_eq!((batch.client, batch.created_at, batch.status()), (client(1), start(), BatchStatus::Open));
    assert_eq!(store.get(ids[1]).await.unwrap().unwrap().batch, Some(id));

    let (job, lease) = claim(&*store).await;
    assert_eq!((job.id, job.batch), (ids[0], Some(id)));
    store.progress(&lease, 0.5).await.unwrap();
    let batch = store.batch(id).await.unwrap().unwrap();
    assert_eq!((batch.counts().queued, batch.counts().processing), (2, 1));
    assert!((batch.progress() - 0.5 / 3.0).abs() < 1e-9);
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    let (_, lease) = claim(&*store).await;
    store.finish(&lease, Outcome::Failed(JobError::new(ErrorCode::ImageCorrupt, "cut short"))).await.unwrap();
    store.cancel(ids[2]).await.unwrap();
    let batch = store.batch(id).await.unwrap().unwrap();
    assert_eq!((batch.status(), batch.finished_at(), batch.progress()), (BatchStatus::Finished, Some(start()), 1.0));
    let counts = batch.counts();
    assert_eq!((counts.succeeded, counts.failed, counts.canceled), (1, 1, 1));

    clock.advance(Policy::default().result_ttl);
    store.reap().await.unwrap();
    let batch = store.batch(id).await.unwrap().unwrap();
    assert_eq!((batch.counts().succeeded, batch.jobs[0].status), (1, Status::Expired));
    assert_eq!(store.batch(BatchId::random()).await.unwrap(), None);
}

pub(super) async fn a_refused_file_has_failed_from_the_start(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (id, new) = batch_of(1, vec![refused(1, "a.txt"), new_job(), refused(1, "b.txt")]);
    let good = new.jobs[1].id;
    let submitted = store.submit(new).await.unwrap();
    assert_eq!((submitted.quota.used, store.stats().await.unwrap().queued), (1, 1));
    let batch = store.batch(id).await.unwrap().unwrap();
    assert_eq!(batch.jobs, submitted.jobs);
    let states: Vec<_> = batch.jobs.iter().map(|job| (job.status, job.input.filename.as_deref())).collect();
    let expected = [(Status::Failed, Some("a.txt")), (Status::Queued, Some("a.jpg")), (Status::Failed, Some("b.txt"))];
    assert_eq!(states, expected);
    let error = batch.jobs[0].error.clone().unwrap();
    assert_eq!((error.code, batch.jobs[0].finished_at), (ErrorCode::UnsupportedFormat, Some(start())));
    // There is nothing of it to delete, and nothing to give back.
    store.cancel(good).await.unwrap();
    clock.advance(INPUT_KEPT);
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(good)]);
    store.withdraw(batch.jobs[0].id).await.unwrap();
    assert_eq!(used(&*store, 1).await, 0);
    assert_eq!(store.batch(id).await.unwrap().unwrap().status(), BatchStatus::Finished);

    // Nothing but refused files: finished at once, and it costs nothing.
    let (id, new) = batch_of(2, vec![refused(2, "c.txt")]);
    store.submit(new).await.unwrap();
    assert_eq!(store.batch(id).await.unwrap().unwrap().status(), BatchStatus::Finished);
    assert_eq!((used(&*store, 2).await, idle(&*store).await), (0, None));
}

pub(super) async fn the_rest_of_a_batch_is_canceled(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let (id, new) = batch_of(1, (0..4).map(|_| new_job()).collect());
    store.submit(new).await.unwrap();
    let (_, done) = claim(&*store).await;
    store.finish(&done, Outcome::Succeeded(result())).await.unwrap();
    let (_, running) = claim(&*store).await;
    let batch = store.cancel_batch(id).await.unwrap();
    let counts = batch.counts();
    assert_eq!((counts.succeeded, counts.processing, counts.canceled), (1, 1, 2));
    // The job that ran and the job that is running are charged; the jobs that had not begun are not.
    assert_eq!((batch.status(), used(&*store, 1).await), (BatchStatus::Open, 2));
    assert_eq!(store.heartbeat(&running).await.unwrap(), Beat::Cancel);
    store.finish(&running, Outcome::Canceled).await.unwrap();
    assert_eq!(store.batch(id).await.unwrap().unwrap().status(), BatchStatus::Canceled);
    assert!(matches!(store.cancel_batch(id).await, Err(CancelError::AlreadyFinished("canceled"))));
    assert!(matches!(store.cancel_batch(BatchId::random()).await, Err(CancelError::NotFound)));
    assert_eq!(idle(&*store).await, None);
}

pub(super) async fn a_batch_is_remembered_as_long_as_its_jobs(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (id, new) = batch_of(1, vec![refused(1, "a.txt"), new_job()]);
    let job = new.jobs[1].id;
    store.submit(new).await.unwrap();
    clock.advance(Policy::default().result_ttl + Policy::default().record_ttl);
    assert_eq!(store.reap().await.unwrap().forgotten, 0, "the batch has not ended");
    store.cancel(job).await.unwrap();
    clock.advance(INPUT_KEPT);
    let garbage = store.garbage(10).await.unwrap();
    store.collected(garbage).await.unwrap();
    clock.advance(Policy::default().result_ttl + Policy::default().record_ttl - 2 * INPUT_KEPT);
    assert_eq!(store.reap().await.unwrap().forgotten, 1, "the file that was refused at the start");
    assert_eq!(store.batch(id).await.unwrap().unwrap().jobs.len(), 1);
    clock.advance(Duration::from_secs(3600));
    assert_eq!(store.reap().await.unwrap().forgotten, 1);
    assert_eq!((store.get(job).await.unwrap(), store.batch(id).await.unwrap()), (None, None));
}

pub(super) async fn a_batch_s_watchers_hear_of_its_jobs(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let (id, new) = batch_of(1, vec![new_job(), new_job()]);
    let mut watch = store.watch(id.0);
    store.submit(new).await.unwrap();
    let (_, lease) = claim(&*store).await;
    hears(&mut watch).await;
    store.progress(&lease, 0.3).await.unwrap();
    hears(&mut watch).await;
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    hears(&mut watch).await;
    store.cancel_batch(id).await.unwrap();
    hears(&mut watch).await;
}

async fn hears(watch: &mut Watch) {
    tokio::time::timeout(Duration::from_secs(5), watch.changed()).await.expect("its watcher hears of it");
}
