//! Jobs and batches as the store has them now.

use std::time::Duration;

use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord};

use crate::problem::{ApiResult, Problem};
use crate::state::Api;

/// The job.
///
/// # Errors
/// 404 `not_found`, or 503 when the store does not answer.
pub async fn find_job(api: &Api, id: JobId) -> ApiResult<JobRecord> {
    api.store.get(id).await?.ok_or_else(Problem::job_not_found)
}

/// The batch with all its jobs.
///
/// # Errors
/// 404 `not_found`, or 503 when the store does not answer.
pub async fn find_batch(api: &Api, id: BatchId) -> ApiResult<BatchRecord> {
    api.store.batch(id).await?.ok_or_else(Problem::batch_not_found)
}

/// The pause before a batch that changed is read again. It grows with the batch, which is always read as a whole.
pub fn batch_read_pause(batch: &BatchRecord) -> Duration {
    Duration::from_millis(50 + batch.jobs.len() as u64)
}
