//! Calling jobs off.

use super::*;

pub(super) async fn a_queued_job_is_canceled_and_refunded(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 2).await;
    assert_eq!(store.cancel(ids[0]).await.unwrap().status, Status::Canceled);
    assert_eq!(used(&*store, 1).await, 1);
    assert_eq!(claim(&*store).await.0.id, ids[1]);
    assert_eq!(idle(&*store).await, Some(Policy::default().lease));
    assert!(matches!(store.cancel(ids[0]).await, Err(CancelError::AlreadyFinished(_))));
    assert!(matches!(store.cancel(JobId::random()).await, Err(CancelError::NotFound)));
    assert_eq!(used(&*store, 1).await, 1);
}

pub(super) async fn a_submit_is_undone_when_its_answer_was_lost(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 2).await;
    for job in [ids[0], ids[0], JobId::random()] {
        store.withdraw(job).await.unwrap();
    }
    assert_eq!((status(&*store, ids[0]).await, used(&*store, 1).await), (Status::Canceled, 1));
    assert_eq!(claim(&*store).await.0.id, ids[1]);
    // A job that is being worked on is refunded too, and only once.
    for _ in 0..2 {
        store.withdraw(ids[1]).await.unwrap();
        assert!(store.get(ids[1]).await.unwrap().unwrap().cancel_requested);
        assert_eq!(used(&*store, 1).await, 0);
    }
}

pub(super) async fn a_running_job_is_asked_to_stop(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
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
    pass(&*store, &clock, Policy::default().lease).await;
    store.reap().await.unwrap();
    for id in ids {
        assert_eq!(status(&*store, id).await, Status::Canceled);
    }
    // They had started: their units are spent.
    assert_eq!(used(&*store, 1).await, 4);
}

pub(super) async fn a_withdrawn_job_that_has_ended_is_refunded_too(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 2).await;
    for outcome in [Outcome::Succeeded(result()), Outcome::Failed(JobError::new(ErrorCode::ImageCorrupt, "cut short"))]
    {
        let (_, lease) = claim(&*store).await;
        store.finish(&lease, outcome).await.unwrap();
    }
    assert_eq!(used(&*store, 1).await, 2);
    for (id, left) in [(ids[0], 1), (ids[0], 1), (ids[1], 0), (ids[1], 0)] {
        let before = status(&*store, id).await;
        store.withdraw(id).await.unwrap();
        assert_eq!((status(&*store, id).await, used(&*store, 1).await), (before, left));
    }
}
