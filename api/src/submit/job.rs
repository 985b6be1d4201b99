//! Submitting one image as a job.

use remaster_shared::error::ErrorCode;
use remaster_shared::job::{JobId, JobRecord};
use remaster_store::{NewJob, NewJobs};

use super::enqueue::enqueue;
use super::model::choose_model;
use super::submitted::Submitted;
use crate::inputs::StoredInputs;
use crate::parse::submit_request::SubmitRequest;
use crate::parse::upload::Upload;
use crate::problem::{ApiResult, Problem};
use crate::state::Shared;

/// Queues the job `id` for an uploaded image.
///
/// # Errors
/// The model is not available, the picture or its result has too many pixels, the store refuses the job, or the store or the
/// object storage does not answer.
pub async fn submit_job(api: &Shared, id: JobId, request: SubmitRequest<Upload>) -> ApiResult<Submitted<JobRecord>> {
    let SubmitRequest { client, files: upload, params, webhook, idempotency } = request;
    let (params, cost) = choose_model(api, params).await?;
    let checked = api.settings.pixels.check(upload.info.width, upload.info.height, &params);
    checked.inspect_err(|error| api.count_refusal(client, error.code))?;

    let mut inputs = StoredInputs::new(api);
    inputs.put(id, upload.file.path()).await?;
    let jobs = vec![NewJob { cost, ..NewJob::new(id, params, upload.info) }];
    let new = NewJobs { idempotency, webhook, ..NewJobs::new(client.key, jobs) };
    let Submitted { record: mut jobs, quota, replayed } = enqueue(api, client, new, inputs).await?;
    let job = jobs.pop().ok_or_else(|| Problem::new(ErrorCode::Internal, "The job was not kept."))?;
    let record = match job.position {
        Some(_) => job,
        // It is read again for its place in line. If that fails, the job is queued all the same.
        None => api.store.get(job.id).await.ok().flatten().unwrap_or(job),
    };
    Ok(Submitted { record, quota, replayed })
}
