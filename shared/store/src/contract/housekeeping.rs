//! What is deleted, and when.

use super::*;

pub(super) async fn blobs_without_use_are_named_until_gone(store: Arc<dyn Store>, clock: Arc<ManualClock>) {
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
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Output(id, lease.fence.into())]);

    // The record stays while it has something to remember.
    clock.advance(Policy::default().record_ttl * 2);
    assert_eq!(store.reap().await.unwrap().forgotten, 0);
    store.collected(vec![BlobKey::Output(id, lease.fence.into())]).await.unwrap();
    assert_eq!(store.reap().await.unwrap().forgotten, 1);
    assert!(store.get(id).await.unwrap().is_none());
}

pub(super) async fn a_canceled_picture_is_garbage(store: Arc<dyn Store>, _clock: Arc<ManualClock>) {
    let id = submit(&*store, 1, 1).await[0];
    let (_, lease) = claim(&*store).await;
    store.cancel(id).await.unwrap();
    store.finish(&lease, Outcome::Succeeded(result())).await.unwrap();
    assert_eq!(store.garbage(10).await.unwrap(), [BlobKey::Input(id), BlobKey::Output(id, lease.fence.into())]);
}
