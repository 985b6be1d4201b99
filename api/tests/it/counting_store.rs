//! The store as the API sees it, with a count of its subscriptions and of the reads of the workers and of the numbers. The
//! counts tell a test when a request is being held, and how often the store was asked. On demand, the answers to what changes
//! jobs are lost, or the workers are not told.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use jiff::Timestamp;
use remaster_shared::client::{ClientHasher, ClientKey};
use remaster_shared::fleet::{Announcement, WorkerSeen};
use remaster_shared::idempotency::IdempotencyKey;
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord};
use remaster_shared::quota::Quota;
use remaster_shared::stats::QueueGauges;
use remaster_store::{
    CancelError, Jobs, NewJobs, SharedStore, Stats, StoreError, Submissions, SubmitError, Submitted, Watch,
    WorkerRegistry,
};
use uuid::Uuid;

/// Passes every call on.
pub struct CountingStore {
    inner: SharedStore,
    subscriptions: AtomicUsize,
    worker_reads: AtomicUsize,
    stats_reads: AtomicUsize,
    batch_reads: AtomicUsize,
    loses_answers: AtomicBool,
    hides_workers: AtomicBool,
}

impl CountingStore {
    pub fn new(inner: SharedStore) -> Self {
        Self {
            inner,
            subscriptions: AtomicUsize::new(0),
            worker_reads: AtomicUsize::new(0),
            stats_reads: AtomicUsize::new(0),
            batch_reads: AtomicUsize::new(0),
            loses_answers: AtomicBool::new(false),
            hides_workers: AtomicBool::new(false),
        }
    }

    /// How many times a job or a batch has been subscribed to.
    pub fn subscriptions(&self) -> usize {
        self.subscriptions.load(Ordering::SeqCst)
    }

    /// From now on the store carries out submits and fails them nevertheless, and withdraws nothing; or it does not any more.
    pub fn lose_answers(&self, lose: bool) {
        self.loses_answers.store(lose, Ordering::SeqCst);
    }

    /// From now on the store does not tell who the workers are, and does not even say so.
    pub fn hide_workers(&self) {
        self.hides_workers.store(true, Ordering::SeqCst);
    }

    fn answered(&self) -> Result<(), StoreError> {
        match self.loses_answers.load(Ordering::SeqCst) {
            true => Err(StoreError::new("the answer was lost")),
            false => Ok(()),
        }
    }

    /// How many times the workers have been read.
    pub fn worker_reads(&self) -> usize {
        self.worker_reads.load(Ordering::SeqCst)
    }

    /// How many times a batch has been read.
    pub fn batch_reads(&self) -> usize {
        self.batch_reads.load(Ordering::SeqCst)
    }

    /// How many times the numbers of the store have been read.
    pub fn stats_reads(&self) -> usize {
        self.stats_reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Jobs for CountingStore {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    fn hasher(&self) -> &ClientHasher {
        self.inner.hasher()
    }

    async fn get(&self, job: JobId) -> Result<Option<JobRecord>, StoreError> {
        self.inner.get(job).await
    }

    async fn batch(&self, batch: BatchId) -> Result<Option<BatchRecord>, StoreError> {
        self.batch_reads.fetch_add(1, Ordering::SeqCst);
        self.inner.batch(batch).await
    }

    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError> {
        self.inner.quota(client).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        self.stats_reads.fetch_add(1, Ordering::SeqCst);
        self.inner.stats().await
    }

    async fn gauges(&self) -> Result<QueueGauges, StoreError> {
        self.inner.gauges().await
    }

    fn watch(&self, id: Uuid) -> Watch {
        let watch = self.inner.watch(id);
        self.subscriptions.fetch_add(1, Ordering::SeqCst);
        watch
    }
}

#[async_trait]
impl Submissions for CountingStore {
    async fn submit(&self, new: NewJobs) -> Result<Submitted, SubmitError> {
        let submitted = self.inner.submit(new).await?;
        self.answered()?;
        Ok(submitted)
    }

    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError> {
        self.inner.knows(client, key).await
    }

    async fn cancel(&self, job: JobId) -> Result<JobRecord, CancelError> {
        self.inner.cancel(job).await
    }

    async fn cancel_batch(&self, batch: BatchId) -> Result<BatchRecord, CancelError> {
        self.inner.cancel_batch(batch).await
    }

    async fn withdraw(&self, job: JobId) -> Result<(), StoreError> {
        self.answered()?;
        self.inner.withdraw(job).await
    }
}

#[async_trait]
impl WorkerRegistry for CountingStore {
    async fn announce(&self, worker: &Announcement) -> Result<(), StoreError> {
        self.inner.announce(worker).await
    }

    async fn workers(&self) -> Result<Vec<WorkerSeen>, StoreError> {
        self.worker_reads.fetch_add(1, Ordering::SeqCst);
        if self.hides_workers.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        self.inner.workers().await
    }
}
