//! The ids in paths.

use remaster_shared::job::{BatchId, JobId};

use crate::problem::{ApiResult, Problem};

/// The id of a job.
///
/// # Errors
/// 404 `not_found` when the text is not an id, because then no job has it.
pub fn job_id(text: &str) -> ApiResult<JobId> {
    text.parse().map_err(|_| Problem::job_not_found())
}

/// The id of a batch.
///
/// # Errors
/// 404 `not_found` when the text is not an id, because then no batch has it.
pub fn batch_id(text: &str) -> ApiResult<BatchId> {
    text.parse().map_err(|_| Problem::batch_not_found())
}
