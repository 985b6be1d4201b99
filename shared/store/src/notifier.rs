//! Who waits for which job or batch: local subscriptions that a store feeds after each commit.
//!
//! Only a hint that something changed; the reader asks the store what. Nothing is kept for what nobody watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, watch};

use uuid::Uuid;

type Watched = HashMap<Uuid, watch::Sender<()>>;

#[derive(Default)]
pub struct Notifier {
    watched: Arc<Mutex<Watched>>,
    work: Notify,
    hooks: Notify,
}

impl Notifier {
    pub fn watch(&self, id: Uuid) -> Watch {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = watched.entry(id).or_insert_with(|| watch::channel(()).0).subscribe();
        Watch { id, receiver: Some(receiver), watched: Arc::clone(&self.watched) }
    }

    pub fn changed(&self, id: Uuid) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&id) {
            sender.send_replace(());
        }
    }

    /// Something was missed: everybody looks for themselves.
    pub fn everything(&self) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.values().for_each(|sender| {
            sender.send_replace(());
        });
        self.work.notify_one();
        self.hooks.notify_one();
    }

    pub fn work_available(&self) {
        self.work.notify_one();
    }

    pub async fn work(&self) {
        self.work.notified().await;
    }

    pub fn hooks_due(&self) {
        self.hooks.notify_one();
    }

    pub async fn hooks(&self) {
        self.hooks.notified().await;
    }
}

/// One subscription to one job or batch.
pub struct Watch {
    id: Uuid,
    receiver: Option<watch::Receiver<()>>,
    watched: Arc<Mutex<Watched>>,
}

impl Watch {
    /// Returns after it changed since the last call (or since the subscription). Cancel-safe.
    pub async fn changed(&mut self) {
        // The sender lives in the map for as long as this subscription does, so this ends by a change only.
        if let Some(receiver) = &mut self.receiver
            && receiver.changed().await.is_err()
        {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.receiver.take());
        if watched.get(&self.id).is_some_and(|sender| sender.receiver_count() == 0) {
            watched.remove(&self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_change_reaches_its_watchers_only_and_nothing_is_left() {
        let hub = Notifier::default();
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        let (mut first, mut second, mut other) = (hub.watch(a), hub.watch(a), hub.watch(b));
        hub.changed(a);
        first.changed().await;
        second.changed().await;
        assert!(tokio::time::timeout(Duration::from_millis(20), other.changed()).await.is_err());
        drop((first, other));
        assert_eq!(hub.watched.lock().unwrap().len(), 1);
        drop(second);
        assert!(hub.watched.lock().unwrap().is_empty());
    }
}
