//! Who waits for which job: local subscriptions that a store feeds after each commit.
//!
//! Only a hint that something changed; the reader asks the store what. Nothing is kept for a job nobody watches.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{Notify, watch};

use crate::job::JobId;

#[derive(Default)]
pub struct Hub {
    jobs: Arc<Mutex<HashMap<JobId, watch::Sender<()>>>>,
    work: Notify,
}

impl Hub {
    pub fn watch(&self, job: JobId) -> Watch {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let receiver = jobs.entry(job).or_insert_with(|| watch::channel(()).0).subscribe();
        Watch { job, receiver: Some(receiver), jobs: Arc::clone(&self.jobs) }
    }

    pub fn changed(&self, job: JobId) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = jobs.get(&job) {
            sender.send_replace(());
        }
    }

    /// Something was missed: everybody looks for themselves.
    pub fn everything(&self) {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        jobs.values().for_each(|sender| {
            sender.send_replace(());
        });
        self.work.notify_one();
    }

    pub fn work_available(&self) {
        self.work.notify_one();
    }

    pub async fn work(&self) {
        self.work.notified().await;
    }
}

/// One subscription to one job.
pub struct Watch {
    job: JobId,
    receiver: Option<watch::Receiver<()>>,
    jobs: Arc<Mutex<HashMap<JobId, watch::Sender<()>>>>,
}

impl Watch {
    /// Returns after the job changed since the last call (or since the subscription). Cancel-safe.
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
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.receiver.take());
        if jobs.get(&self.job).is_some_and(|sender| sender.receiver_count() == 0) {
            jobs.remove(&self.job);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn a_change_reaches_its_watchers_only_and_nothing_is_left() {
        let hub = Hub::default();
        let (a, b) = (JobId::random(), JobId::random());
        let (mut first, mut second, mut other) = (hub.watch(a), hub.watch(a), hub.watch(b));
        hub.changed(a);
        first.changed().await;
        second.changed().await;
        assert!(tokio::time::timeout(Duration::from_millis(20), other.changed()).await.is_err());
        drop((first, other));
        assert_eq!(hub.jobs.lock().unwrap().len(), 1);
        drop(second);
        assert!(hub.jobs.lock().unwrap().is_empty());
    }
}
