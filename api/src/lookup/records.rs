//! Jobs and batches as they are now. A result whose time is over has expired, also where no worker runs that would delete it.

use std::time::Duration;

use jiff::Timestamp;
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord, Status};

use crate::problem::{ApiResult, Problem};
use crate::state::Api;

/// The job.
///
/// # Errors
/// 404 `not_found`, or 503 when the store does not answer.
pub async fn find_job(api: &Api, id: JobId) -> ApiResult<JobRecord> {
    let mut job = api.store.get(id).await?.ok_or_else(Problem::job_not_found)?;
    expire(&mut job, api.store.now());
    Ok(job)
}

/// The batch with all its jobs.
///
/// # Errors
/// 404 `not_found`, or 503 when the store does not answer.
pub async fn find_batch(api: &Api, id: BatchId) -> ApiResult<BatchRecord> {
    let mut batch = api.store.batch(id).await?.ok_or_else(Problem::batch_not_found)?;
    let now = api.store.now();
    batch.jobs.iter_mut().for_each(|job| expire(job, now));
    Ok(batch)
}

fn expire(job: &mut JobRecord, now: Timestamp) {
    if job.status == Status::Succeeded && job.expires_at.is_some_and(|end| end <= now) {
        job.status = Status::Expired;
    }
}

/// The pause before a batch that changed is read again. It grows with the batch, which is always read as a whole.
pub fn batch_read_pause(batch: &BatchRecord) -> Duration {
    Duration::from_millis(50 + batch.jobs.len() as u64)
}
