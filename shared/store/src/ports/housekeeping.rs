//! Housekeeping: leases that ran out, results that expire, records and pictures that nobody needs any more.

use std::time::Duration;

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
    /// Whether there was more to do than one call does.
    pub more: bool,
}

/// How long blobs that were handed out for deletion belong to whoever was given them.
pub const GARBAGE_LEASE: Duration = Duration::from_secs(120);

/// What the janitor may do.
#[async_trait]
pub trait Housekeeping: Jobs {
    /// Ends leases that ran out, expires results and deletes records that were kept long enough. One call does a bounded
    /// amount of work; what is left over is done by the next.
    ///
    /// # Errors
    /// The store does not answer.
    async fn reap(&self) -> Result<Reaped, StoreError>;

    /// Hands out up to `limit` inputs and outputs that have no use any more, for the caller to delete. Nobody else is given them for
    /// [`GARBAGE_LEASE`]; what is not reported as deleted by then is handed out again.
    ///
    /// # Errors
    /// The store does not answer.
    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError>;

    /// These are deleted.
    ///
    /// # Errors
    /// The store does not answer; then they are handed out again.
    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError>;

    /// Whether the caller is to search the storage for orphans now: one caller in each period of `every`, over all workers.
    ///
    /// # Errors
    /// The store does not answer.
    async fn takes_sweep(&self, every: Duration) -> Result<bool, StoreError>;

    /// Those of these blobs that no job uses and that [`Housekeeping::garbage`] will never name: orphans.
    ///
    /// # Errors
    /// The store does not answer.
    async fn unused(&self, keys: Vec<BlobKey>) -> Result<Vec<BlobKey>, StoreError>;
}
