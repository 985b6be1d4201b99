//! Telling those who wait in this process that something may have changed.
//!
//! A notification is a hint: whoever receives it asks the store for the new state. Nothing is kept for a job or a batch that
//! nobody watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Notify, watch};
use uuid::Uuid;

type Watched = HashMap<Uuid, watch::Sender<()>>;

/// Somebody began to watch this job or batch, or the last watch of it ended; [`Notifier::is_watched`] says which it is by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interest(pub Uuid);

/// The subscriptions of one process. A store feeds it after each commit, or from pub/sub.
#[derive(Default)]
pub struct Notifier {
    watched: Arc<Mutex<Watched>>,
    interests: Option<UnboundedSender<Interest>>,
    work: Notify,
    hooks: Notify,
}

impl Notifier {
    /// A notifier that tells what it has to be fed with.
    pub fn with_interests() -> (Self, UnboundedReceiver<Interest>) {
        let (interests, receiver) = unbounded_channel();
        (Self { interests: Some(interests), ..Self::default() }, receiver)
    }

    /// Subscribes to the changes of a job or a batch, from now on.
    pub fn watch(&self, id: Uuid) -> Watch {
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = watched
            .entry(id)
            .or_insert_with(|| {
                tell(&self.interests, id);
                watch::channel(()).0
            })
            .subscribe();
        Watch { id, receiver: Some(receiver), watched: Arc::clone(&self.watched), interests: self.interests.clone() }
    }

    /// Whether somebody watches the job or batch `id`.
    pub fn is_watched(&self, id: Uuid) -> bool {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&id)
    }

    /// Every job and batch that somebody watches.
    pub fn watched(&self) -> Vec<Uuid> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    /// The job or batch `id` changed.
    pub fn changed(&self, id: Uuid) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = watched.get(&id) {
            sender.send_replace(());
        }
    }

    /// Notifications may have been missed, so everybody who waits is told to look.
    pub fn missed_some(&self) {
        let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.values().for_each(|sender| {
            sender.send_replace(());
        });
        self.work.notify_one();
        self.hooks.notify_one();
    }

    /// A worker may find work.
    pub fn work_available(&self) {
        self.work.notify_one();
    }

    /// Returns after the next [`Notifier::work_available`], or at once if there was one that nobody waited for.
    pub async fn work(&self) {
        self.work.notified().await;
    }

    /// A webhook may be due.
    pub fn hooks_due(&self) {
        self.hooks.notify_one();
    }

    /// Returns after the next [`Notifier::hooks_due`], or at once if there was one that nobody waited for.
    pub async fn hooks(&self) {
        self.hooks.notified().await;
    }
}

/// One subscription to one job or batch.
pub struct Watch {
    id: Uuid,
    receiver: Option<watch::Receiver<()>>,
    watched: Arc<Mutex<Watched>>,
    interests: Option<UnboundedSender<Interest>>,
}

fn tell(interests: &Option<UnboundedSender<Interest>>, id: Uuid) {
    if let Some(interests) = interests {
        // Nobody listens once the store is closed.
        let _ = interests.send(Interest(id));
    }
}

impl Watch {
    /// Returns once it has changed since the last call, or since the subscription. Cancel-safe.
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
            tell(&self.interests, self.id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn interests_tell_of_the_first_watch_and_of_the_last() {
        let (notifier, mut interests) = Notifier::with_interests();
        let id = Uuid::new_v4();
        let first = notifier.watch(id);
        let second = notifier.watch(id);
        assert_eq!((interests.try_recv(), notifier.is_watched(id)), (Ok(Interest(id)), true));
        drop(first);
        assert!(interests.try_recv().is_err());
        drop(second);
        assert_eq!((interests.try_recv(), notifier.is_watched(id)), (Ok(Interest(id)), false));
    }

    #[tokio::test]
    async fn a_change_reaches_its_watchers_only_and_nothing_is_left() {
        let notifier = Notifier::default();
        let (a, b) = (Uuid::new_v4(), Uuid::new_v4());
        let (mut first, mut second, mut other) = (notifier.watch(a), notifier.watch(a), notifier.watch(b));
        notifier.changed(a);
        first.changed().await;
        second.changed().await;
        assert!(tokio::time::timeout(Duration::from_millis(20), other.changed()).await.is_err());
        drop((first, other));
        assert_eq!(notifier.watched.lock().unwrap().len(), 1);
        drop(second);
        assert!(notifier.watched.lock().unwrap().is_empty());
    }
}
