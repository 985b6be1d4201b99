//! Handing jobs to the store, and rolling back what they have stored if the store refuses them.

use std::time::Instant;

use remaster_shared::job::JobRecord;
use remaster_shared::quota::UtcDay;
use remaster_shared::trace::JobSpan;
use remaster_store::{Idempotency, NewJobs, SubmitError};

use super::rollback::roll_back;
use super::submitted::Submitted;
use crate::inputs::{StoredInputs, delete_inputs};
use crate::parse::client::Client;
use crate::parse::daily::Counted;
use crate::problem::ApiResult;
use crate::state::Shared;

/// Charges the client and queues the jobs, whose pictures are `inputs`.
///
/// # Errors
/// The client or a larger network of it may not submit so much today, or the store refuses the jobs or does not answer.
pub async fn enqueue(
    api: &Shared,
    client: Client,
    new: NewJobs,
    inputs: StoredInputs,
) -> ApiResult<Submitted<Vec<JobRecord>>> {
    let has_key = new.idempotency.is_some();
    let counted = count(api, client, &new).await?;
    // From here on the store may have the jobs, even if the caller goes away before it answers, so that dropping this future
    // must not delete their pictures.
    let inputs = inputs.keep();
    let began = Instant::now();
    match api.store.submit(new).await {
        Ok(submitted) => {
            if submitted.replayed {
                delete_inputs(api, &inputs).await;
            } else {
                counted.keep();
                for job in &submitted.jobs {
                    api.metrics.span(|| JobSpan::ending(job.id, "submit", began.elapsed()));
                }
            }
            Ok(Submitted { record: submitted.jobs, quota: submitted.quota, replayed: submitted.replayed })
        }
        // The caller will repeat the request with its key and has to find what the store kept. If the store kept nothing, the
        // pictures are orphans, which the sweep deletes.
        Err(SubmitError::Store(error)) if has_key => Err(error.into()),
        Err(refused) => {
            roll_back(api, inputs, &refused).await;
            Err(refused.into())
        }
    }
}

/// Counts the jobs towards what the client and its larger networks may submit. A repeated request is none of theirs.
async fn count(api: &Shared, client: Client, new: &NewJobs) -> ApiResult<Counted> {
    if let Some(Idempotency { key, .. }) = &new.idempotency
        && api.store.knows(client.key, key).await?
    {
        return Ok(Counted::default());
    }
    let today = UtcDay::of(api.store.now());
    let mut counted = api.networks.count(client, today, new.units())?;
    api.allowances.count(today, new, &mut counted)?;
    Ok(counted)
}
