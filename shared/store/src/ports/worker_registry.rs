//! Which workers there are, as they announce themselves.

use async_trait::async_trait;
use remaster_shared::fleet::{Announcement, WorkerSeen};

use crate::StoreError;

/// Announcements of workers. Workers write them, and the API reads them.
#[async_trait]
pub trait WorkerRegistry: Send + Sync + 'static {
    /// Keeps what a worker says of itself, in place of what it said before.
    ///
    /// # Errors
    /// The store does not answer.
    async fn announce(&self, worker: &Announcement) -> Result<(), StoreError>;

    /// The workers that are remembered, by name.
    ///
    /// # Errors
    /// The store does not answer.
    async fn workers(&self) -> Result<Vec<WorkerSeen>, StoreError>;
}
