//! Reading jobs, batches and quotas, and hearing of changes.

use async_trait::async_trait;
use jiff::Timestamp;
use remaster_shared::client::{ClientHasher, ClientKey};
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord};
use remaster_shared::quota::Quota;
use remaster_shared::stats::{QueueGauges, Stats};
use uuid::Uuid;

use crate::StoreError;
use crate::notifier::Watch;

/// Reading. Any part of the service may read.
#[async_trait]
pub trait Jobs: Send + Sync + 'static {
    /// The store's kind as `GET /stats` names it: `sqlite` or `redis`.
    fn name(&self) -> &'static str;

    /// The time by which the quota's day is chosen, in whole milliseconds.
    fn now(&self) -> Timestamp;

    /// Hashes addresses under this store's secret, which is the same on every node.
    fn hasher(&self) -> &ClientHasher;

    /// The job with its place in line (while it is queued) and the state of its webhook; `None` when there is no such job.
    ///
    /// # Errors
    /// The store does not answer, or holds a record that cannot be read.
    async fn get(&self, job: JobId) -> Result<Option<JobRecord>, StoreError>;

    /// The batch with its jobs in the order in which they were sent; `None` when there is no such batch.
    ///
    /// # Errors
    /// The store does not answer, or holds a record that cannot be read.
    async fn batch(&self, batch: BatchId) -> Result<Option<BatchRecord>, StoreError>;

    /// What the client has used of the present UTC day.
    ///
    /// # Errors
    /// The store does not answer.
    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError>;

    /// The numbers of `GET /stats`.
    ///
    /// # Errors
    /// The store does not answer.
    async fn stats(&self) -> Result<Stats, StoreError>;

    /// What operators watch.
    ///
    /// # Errors
    /// The store does not answer.
    async fn gauges(&self) -> Result<QueueGauges, StoreError>;

    /// Subscribes to the changes of a job or a batch, from now on. A change is a hint: the subscriber reads the new state itself.
    fn watch(&self, id: Uuid) -> Watch;
}
