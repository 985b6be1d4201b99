//! What a worker works on.

use remaster_shared::job::JobRecord;
use remaster_store::Lease;

/// A claimed job and the right to it.
#[derive(Debug, Clone)]
pub struct Assignment {
    /// The job as it was when it was claimed.
    pub job: Box<JobRecord>,
    /// The right to it.
    pub lease: Lease,
}
