//! What is deleted, and when.

use super::*;

pub(super) async fn blobs_without_use_are_named_until_gone(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    assert_eq!(store.garbage(10).await.unwrap(), []);
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    // The store may yet lose this end.
    clock.advance(INPUT_KEPT - Duration::from_secs(1));
    assert_eq!(store.garbage(10).await.unwrap(), []);
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(id)]);
    // It belongs to whoever was given it, for a while.
    assert_eq!(store.garbage(10).await.unwrap(), []);
    clock.advance(GARBAGE_LEASE);
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(id)]);
    store.collected(vec![BlobKey::Input(id)]).await.unwrap();
    clock.advance(GARBAGE_LEASE);
    assert_eq!(store.garbage(10).await.unwrap(), []);

    clock.advance(Policy::default().result_ttl);
    assert_eq!(store.reap().await.unwrap().expired, 1);
    assert_eq!(status(&*store, id).await, Status::Expired);
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Output(id, lease.fence.into())]);

    // The record stays while it has something to remember.
    clock.advance(Policy::default().record_ttl * 2);
    assert_eq!(store.reap().await.unwrap().forgotten, 0);
    store.collected(vec![BlobKey::Output(id, lease.fence.into())]).await.unwrap();
    assert_eq!(store.reap().await.unwrap().forgotten, 1);
    assert!(store.get(id).await.unwrap().is_none());
}

pub(super) async fn an_output_has_the_name_of_its_format(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    for format in OutputFormat::ALL {
        let mut job = new_job();
        job.params.format = format;
        let id = job.id;
        store.submit(NewJobs::new(client(1), vec![job])).await.unwrap();
        let (_, lease) = claim(&*store).await;
        let output = BlobKey::Output(id, OutputName::Fence(lease.fence, format));
        store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
        assert_eq!(store.get(id).await.unwrap().unwrap().output_key(), Some(output));
        assert_eq!(store.unused(vec![output]).await.unwrap(), []);
        store.collected(vec![BlobKey::Input(id)]).await.unwrap();
        clock.advance(Policy::default().result_ttl);
        store.reap().await.unwrap();
        assert_eq!(store.garbage(10).await.unwrap(), [output]);
        store.collected(vec![output]).await.unwrap();
    }
}

pub(super) async fn a_canceled_picture_is_garbage(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    store.cancel(id).await.unwrap();
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    clock.advance(INPUT_KEPT);
    let mut garbage = store.garbage(10).await.unwrap();
    garbage.sort_by_key(ToString::to_string);
    assert_eq!(garbage, [BlobKey::Input(id), BlobKey::Output(id, lease.fence.into())]);
}

pub(super) async fn garbage_that_cannot_be_deleted_hides_none(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let ids = submit(&*store, 1, 5).await;
    for id in &ids {
        store.cancel(*id).await.unwrap();
    }
    clock.advance(INPUT_KEPT);
    let mut named = Vec::new();
    for _ in 0..3 {
        named.extend(store.garbage(2).await.unwrap());
    }
    named.sort_by_key(ToString::to_string);
    let mut expected: Vec<_> = ids.into_iter().map(BlobKey::Input).collect();
    expected.sort_by_key(ToString::to_string);
    assert_eq!(named, expected);
}

pub(super) async fn an_orphan_is_what_no_job_uses_or_deletes(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    let (own, lost) = (BlobKey::Output(id, lease.fence.into()), BlobKey::Output(id, Fence::random().into()));
    let orphans = [BlobKey::Input(JobId::random()), BlobKey::Output(JobId::random(), Fence::random().into())];
    let all = || [vec![BlobKey::Input(id), own, lost], orphans.to_vec()].concat();
    // The output of any attempt may yet become the result.
    assert_eq!(store.unused(all()).await.unwrap(), orphans);
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.unused(all()).await.unwrap(), [&[lost], &orphans[..]].concat());
}

pub(super) async fn one_worker_in_a_period_sweeps(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
    let hour = Duration::from_secs(3600);
    assert!(store.takes_sweep(hour).await.unwrap());
    assert!(!store.takes_sweep(hour).await.unwrap());
    clock.advance(hour);
    assert!(store.takes_sweep(hour).await.unwrap());
    assert!(!store.takes_sweep(hour).await.unwrap());
}
