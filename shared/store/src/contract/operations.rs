//! What operators do by hand.

use super::batches::batch_of;
use super::hooks::{attempted, due, standing, told};
use super::*;
use crate::rules::job::Refused;
use remaster_shared::job::BatchStatus;
use remaster_shared::webhook::{Next, Subject};

async fn fail(store: &dyn Store, code: ErrorCode) -> JobId {
    let (job, lease) = claim(store).await;
    store.finish(&lease, Outcome::Failed(JobError::new(code, "it failed"))).await.unwrap();
    job.id
}

async fn listed(store: &dyn Store, list: JobList) -> Vec<JobId> {
    store.list(list, 10).await.unwrap().iter().map(|job| job.id).collect()
}

pub(super) async fn a_pause_gives_no_jobs_and_a_resume_wakes(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 2).await;
    let (_, running) = claim(&*store).await;
    store.set_paused(true).await.unwrap();
    assert!(store.is_paused().await.unwrap());
    assert!(matches!(store.claim(&request()).await.unwrap(), Claim::HeldBack));
    assert_eq!(store.heartbeat(&running).await.unwrap(), Beat::GoOn);
    store.finish(&running, Outcome::Succeeded(result())).await.unwrap();
    // Wake-ups of before are used up.
    let skills = request().skills;
    store.wait_for_work(&skills, Duration::from_millis(300)).await;
    let waiting = store.wait_for_work(&skills, Duration::from_secs(20));
    let (woken, resumed) =
        tokio::join!(tokio::time::timeout(Duration::from_secs(10), waiting), store.set_paused(false));
    resumed.unwrap();
    woken.expect("a resume wakes workers");
    assert!(!store.is_paused().await.unwrap());
    assert_eq!(claim(&*store).await.0.id, ids[1]);
}

pub(super) async fn a_drained_worker_is_given_no_jobs(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 2).await;
    store.set_drained("w", true).await.unwrap();
    assert_eq!(store.drained().await.unwrap().into_iter().collect::<Vec<_>>(), ["w"]);
    assert!(matches!(store.claim(&request()).await.unwrap(), Claim::HeldBack));
    let other = ClaimRequest { worker: "other".into(), ..request() };
    let Claim::Job(job, _) = store.claim(&other).await.unwrap() else { panic!("the other worker goes on") };
    assert_eq!(job.id, ids[0]);
    store.set_drained("w", false).await.unwrap();
    assert!(store.drained().await.unwrap().is_empty());
    assert_eq!(claim(&*store).await.0.id, ids[1]);
}

pub(super) async fn failed_running_and_waiting_jobs_are_listed(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    submit(&*store, 1, 4).await;
    let waiting = submit(&*store, 2, 2).await[0];
    let mut failed = Vec::new();
    let mut running = Vec::new();
    while failed.len() < 2 || running.is_empty() {
        let (job, lease) = claim(&*store).await;
        if job.client == client(2) {
            store.release(&lease).await.unwrap();
        } else if failed.len() < 2 {
            let code = [ErrorCode::ImageCorrupt, ErrorCode::UnsupportedFormat][failed.len()];
            store.finish(&lease, Outcome::Failed(JobError::new(code, "it failed"))).await.unwrap();
            failed.push(job.id);
            clock.advance(Duration::from_secs(1));
        } else {
            running.push(job.id);
        }
    }
    assert_eq!(listed(&*store, JobList::Failed(None)).await, [failed[1], failed[0]]);
    assert_eq!(listed(&*store, JobList::Failed(Some(ErrorCode::ImageCorrupt))).await, [failed[0]]);
    assert_eq!(listed(&*store, JobList::Failed(Some(ErrorCode::Poison))).await, []);
    assert_eq!(store.list(JobList::Failed(None), 1).await.unwrap().len(), 1);
    assert_eq!(listed(&*store, JobList::Processing).await, running);
    let oldest = listed(&*store, JobList::Waiting).await;
    assert!(oldest.len() == 2 && oldest.contains(&waiting), "{oldest:?}");
}

pub(super) async fn a_failed_job_is_queued_again(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let later = submit(&*store, 1, 1).await[0];
    assert_eq!(fail(&*store, ErrorCode::ImageCorrupt).await, id);
    assert!(matches!(store.requeue(later).await, Err(RequeueError::Refused(Refused::Illegal(_)))));
    assert!(matches!(store.requeue(JobId::random()).await, Err(RequeueError::NotFound)));
    let job = store.requeue(id).await.unwrap();
    assert_eq!((job.status, job.attempt, job.error), (Status::Queued, 0, None));
    let read = store.get(id).await.unwrap().unwrap();
    assert_eq!((read.status, read.finished_at, read.started_at), (Status::Queued, None, None));
    assert_eq!(listed(&*store, JobList::Failed(None)).await, []);
    // In its old place, with its input, and without a second charge.
    assert_eq!(store.garbage(10).await.unwrap(), []);
    let (again, lease) = claim(&*store).await;
    assert_eq!((again.id, again.attempt), (id, 1));
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(used(&*store, 1).await, 2);
    clock.advance(INPUT_KEPT);
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(id)]);
}

pub(super) async fn a_job_whose_input_is_gone_stays_failed(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    fail(&*store, ErrorCode::ImageCorrupt).await;
    assert_eq!(store.garbage(10).await.unwrap(), []);
    clock.advance(Policy::default().result_ttl);
    assert!(matches!(store.requeue(id).await, Err(RequeueError::Refused(Refused::InputGone))));
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(id)]);
    // It was handed out for deletion: nobody knows whether it is still there.
    assert!(matches!(store.requeue(id).await, Err(RequeueError::Refused(Refused::InputGone))));
    store.collected(vec![BlobKey::Input(id)]).await.unwrap();
    assert!(matches!(store.requeue(id).await, Err(RequeueError::Refused(Refused::InputGone))));
    clock.advance(Policy::default().record_ttl);
    assert_eq!(store.reap().await.unwrap().forgotten, 1);
    assert_eq!(listed(&*store, JobList::Failed(None)).await, []);
}

pub(super) async fn a_requeued_job_opens_its_batch_and_tells_again(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let (batch, new) = batch_of(1, vec![new_job()]);
    store.submit(NewJobs { webhook: told(1, "https://example.com/").webhook, ..new }).await.unwrap();
    let id = fail(&*store, ErrorCode::ImageCorrupt).await;
    let first = due(&*store).await;
    assert_eq!(first[0].subject, Subject::Batch(batch));
    attempted(&*store, &first[0], 204, Next::Delivered).await;
    store.requeue(id).await.unwrap();
    assert_eq!(store.batch(batch).await.unwrap().unwrap().status(), BatchStatus::Open);
    assert_eq!(due(&*store).await, []);
    let (_, lease) = claim(&*store).await;
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.batch(batch).await.unwrap().unwrap().status(), BatchStatus::Finished);
    let again = due(&*store).await;
    assert_eq!((again.len(), again[0].subject, again[0].attempts), (1, Subject::Batch(batch), 0));
}

pub(super) async fn a_client_s_waiting_jobs_are_purged(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 3).await;
    let other = submit(&*store, 2, 1).await[0];
    let (_, retried) = claim(&*store).await;
    store.finish(&retried, Outcome::Failed(JobError::internal())).await.unwrap();
    let mut canceled = 0;
    loop {
        match store.purge(client(1)).await.unwrap() {
            0 => break,
            some => canceled += some,
        }
    }
    assert_eq!(canceled, 3);
    for id in ids {
        assert_eq!(status(&*store, id).await, Status::Canceled);
    }
    // An attempt was made at one of them.
    assert_eq!(used(&*store, 1).await, 1);
    assert_eq!(claim(&*store).await.0.id, other);
}

pub(super) async fn a_quota_is_adjusted(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    submit(&*store, 1, 5).await;
    assert_eq!(store.adjust_quota(client(1), 3).await.unwrap().used, 2);
    assert_eq!(store.adjust_quota(client(1), -10).await.unwrap().used, 12);
    assert_eq!(store.adjust_quota(client(1), 100).await.unwrap().used, 0);
    let stats = store.stats().await.unwrap();
    assert_eq!((used(&*store, 1).await, stats.clients_today, stats.requests_today), (0, 0, 0));
}

pub(super) async fn a_webhook_is_sent_again(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let new = told(1, "https://example.com/");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    assert!(!store.resend(id.0).await.unwrap(), "there is nothing to tell yet");
    let (_, lease) = claim(&*store).await;
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    let hooks = due(&*store).await;
    attempted(&*store, &hooks[0], 500, Next::GiveUp).await;
    assert_eq!(due(&*store).await, []);
    assert!(store.resend(id.0).await.unwrap());
    let again = due(&*store).await;
    assert_eq!((again.len(), again[0].attempts, &again[0].target), (1, 0, &hooks[0].target));
    attempted(&*store, &again[0], 204, Next::Delivered).await;
    assert_eq!(standing(&*store, id).await.attempts, 1);
    assert!(!store.resend(JobId::random().0).await.unwrap());
}

pub(super) async fn gauges_tell_what_waits(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    assert_eq!(store.gauges().await.unwrap(), crate::QueueGauges::default());
    let ids = submit(&*store, 1, 2).await;
    clock.advance(Duration::from_secs(60));
    let mut plain = new_job_of(client(2));
    plain.params.background = false;
    store
        .submit(NewJobs { webhook: told(2, "https://example.com/").webhook, ..NewJobs::new(client(2), vec![plain]) })
        .await
        .unwrap();
    let gauges = store.gauges().await.unwrap();
    let queued = [(String::new(), 1), ("realesrgan-x4plus".to_owned(), 2)];
    assert_eq!((gauges.oldest, gauges.queued_by_model), (Some(start()), queued.into()));
    assert_eq!((gauges.garbage, gauges.webhooks, gauges.reclaimed), (0, 0, 0));

    // One ends and tells somebody, one is canceled, and the worker of one is gone.
    let (mut lost, mut done) = (0, 0);
    while lost + done < 2 {
        let (job, lease) = claim(&*store).await;
        if job.client == client(2) {
            store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
            done += 1;
        } else {
            lost += 1;
        }
    }
    let waiting = ids.iter().map(async |id| (status(&*store, *id).await, *id));
    for waiting in waiting {
        if let (Status::Queued, id) = waiting.await {
            store.cancel(id).await.unwrap();
        }
    }
    let gauges = store.gauges().await.unwrap();
    assert_eq!((gauges.oldest, gauges.queued_by_model.values().sum::<u64>()), (None, 0));
    assert_eq!((gauges.garbage, gauges.webhooks), (0, 1));
    pass(&*store, &clock, INPUT_KEPT.max(Policy::default().lease)).await;
    store.reap().await.unwrap();
    let gauges = store.gauges().await.unwrap();
    assert_eq!(gauges.garbage, 2);
    assert_eq!((gauges.reclaimed, gauges.poisoned), (1, 0));
    assert_eq!(gauges.queued_by_model, [("realesrgan-x4plus".to_owned(), 1)].into());
}

pub(super) async fn a_requeue_disturbs_no_other_webhook(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let (one, other) = (told(1, "https://one.example.com/"), told(2, "https://two.example.com/"));
    let ids = [one.jobs[0].id, other.jobs[0].id];
    for new in [one, other] {
        store.submit(new).await.unwrap();
        fail(&*store, ErrorCode::ImageCorrupt).await;
    }
    store.requeue(ids[0]).await.unwrap();
    clock.advance(Duration::from_secs(1));
    let hooks = due(&*store).await;
    assert_eq!(hooks.iter().map(|hook| hook.subject).collect::<Vec<_>>(), [Subject::Job(ids[1])]);
    assert_eq!(due(&*store).await, []);
}

pub(super) async fn an_attempt_that_told_of_an_earlier_end_changes_nothing(
    store: Arc<dyn Store>,
    _clock: Arc<ManualClock>,
) {
    let new = told(1, "https://example.com/");
    let id = new.jobs[0].id;
    store.submit(new).await.unwrap();
    fail(&*store, ErrorCode::ImageCorrupt).await;
    let under_way = due(&*store).await;
    store.requeue(id).await.unwrap();
    attempted(&*store, &under_way[0], 204, Next::Delivered).await;
    let (_, lease) = claim(&*store).await;
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    let again = due(&*store).await;
    assert_eq!((again.len(), again[0].subject, again[0].attempts), (1, Subject::Job(id), 0));
}
