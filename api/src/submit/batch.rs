//! Submitting many images together.

use remaster_shared::job::{BatchId, BatchRecord, EnhanceParams};
use remaster_store::{NewJob, NewJobs};

use super::enqueue::enqueue;
use super::model::choose_model;
use super::submitted::Submitted;
use crate::parse::batch_upload::{BatchFile, BatchUpload};
use crate::parse::client::Client;
use crate::parse::submit_request::SubmitRequest;
use crate::problem::{ApiResult, Problem};
use crate::state::Shared;

/// Queues the files of a batch. A refused file becomes a job that has failed from the start.
///
/// # Errors
/// The model is not available, every file is refused, the store refuses the batch, or the store does not answer.
pub async fn submit_batch(api: &Shared, request: SubmitRequest<BatchUpload>) -> ApiResult<Submitted<BatchRecord>> {
    let SubmitRequest { client, files: mut upload, params, webhook, idempotency } = request;
    let (params, cost) = choose_model(api, params).await?;
    refuse_large_pictures(api, client, &mut upload, &params).await;
    refuse_batch_of_refused(&upload.files)?;

    let id = BatchId::of(client.key);
    let job =
        |file: BatchFile| NewJob { cost, refused: file.refused, ..NewJob::new(file.job, params.clone(), file.info) };
    let jobs: Vec<_> = upload.files.into_iter().map(job).collect();
    let new = NewJobs { idempotency, webhook, batch: Some(id), ..NewJobs::new(client.key, jobs) };
    let Submitted { record: jobs, quota, replayed } = enqueue(api, client, new, upload.inputs).await?;
    // A repeated request gets the batch of the first one.
    let id = jobs.first().and_then(|job| job.batch).unwrap_or(id);
    // If the batch cannot be read again, it is shown as it was submitted.
    let read = api.store.batch(id).await.ok().flatten();
    let as_submitted = || BatchRecord {
        id,
        client: client.key,
        created_at: jobs.first().map_or_else(|| api.store.now(), |job| job.created_at),
        cancel_requested: false,
        jobs,
        webhook: None,
    };
    Ok(Submitted { record: read.unwrap_or_else(as_submitted), quota, replayed })
}

/// Refuses each file whose picture or result has too many pixels, and deletes what was stored of it.
async fn refuse_large_pictures(api: &Shared, client: Client, upload: &mut BatchUpload, params: &EnhanceParams) {
    for file in upload.files.iter_mut().filter(|file| file.refused.is_none()) {
        if let Err(error) = api.settings.pixels.check(file.info.width, file.info.height, params) {
            upload.inputs.delete(file.job).await;
            api.count_refusal(client, error.code);
            file.refused = Some(error);
        }
    }
}

/// So many files of a batch may be refused, or as many as are accepted. A refused file is remembered like a job, and costs nothing.
const REFUSED: usize = 10;

/// A batch in which every file is refused, or many more than are accepted, is refused itself, with the code of the first of them.
fn refuse_batch_of_refused(files: &[BatchFile]) -> ApiResult<()> {
    let refused: Vec<_> = files.iter().filter_map(|file| Some((file, file.refused.as_ref()?))).collect();
    let accepted = files.len() - refused.len();
    let Some((file, error)) = refused.first().filter(|_| accepted == 0 || refused.len() > accepted.max(REFUSED)) else {
        return Ok(());
    };
    let name = file.info.filename.as_deref().unwrap_or("the first");
    let (all, how) = (files.len(), &error.message);
    let detail = match accepted {
        0 => format!("None of the {all} files can be used; {name:?}: {how}"),
        _ => format!("Only {accepted} of the {all} files can be used, so the batch is refused; {name:?}: {how}"),
    };
    Err(Problem::new(error.code, detail))
}
