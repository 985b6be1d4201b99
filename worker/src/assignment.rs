//! What a worker works on.

use std::sync::Arc;

use remaster_shared::job::JobRecord;
use remaster_store::Lease;

use crate::shares::Share;

/// A claimed job and the right to it.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The job as it was when it was claimed.
    pub job: Box<JobRecord>,
    /// The right to it.
    pub lease: Lease,
    /// It counts towards its client's share of this worker.
    pub share: Arc<Share>,
}
