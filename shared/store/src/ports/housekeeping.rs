//! Housekeeping: leases that ran out, results that expire, records and pictures that nobody needs any more.

use async_trait::async_trait;
use remaster_shared::blob_key::BlobKey;

use super::Jobs;
use crate::StoreError;

/// What one round of [`Housekeeping::reap`] did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reaped {
    /// Jobs that are queued again because their lease ran out.
    pub requeued: u64,
    /// Jobs that failed because their lease ran out too often.
    pub poisoned: u64,
    /// Jobs whose result expired.
    pub expired: u64,
    /// Records that were deleted.
    pub forgotten: u64,
}

/// What the janitor may do.
#[async_trait]
pub trait Housekeeping: Jobs {
    /// Ends leases that ran out, expires results and deletes records that were kept long enough. One call does a bounded
    /// amount of work; what is left over is done by the next.
    ///
    /// # Errors
    /// The store does not answer.
    async fn reap(&self) -> Result<Reaped, StoreError>;

    /// Up to `limit` inputs and as many outputs that have no use any more. They are listed again until
    /// [`Housekeeping::collected`] says that they are deleted.
    ///
    /// # Errors
    /// The store does not answer.
    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError>;

    /// These are deleted.
    ///
    /// # Errors
    /// The store does not answer; then they are listed again.
    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError>;
}
