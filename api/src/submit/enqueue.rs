//! Handing jobs to the store, and rolling back what they have stored if the store refuses them.

use remaster_shared::job::JobRecord;
use remaster_shared::quota::UtcDay;
use remaster_store::{NewJobs, SubmitError};

use super::rollback::roll_back;
use super::submitted::Submitted;
use crate::inputs::{StoredInputs, delete_inputs};
use crate::parse::client::Client;
use crate::problem::ApiResult;
use crate::state::Shared;

/// Charges the client and queues the jobs, whose pictures are `inputs`.
///
/// # Errors
/// The store refuses the jobs or does not answer.
pub async fn enqueue(
    api: &Shared,
    client: Client,
    new: NewJobs,
    inputs: StoredInputs,
) -> ApiResult<Submitted<Vec<JobRecord>>> {
    let has_key = new.idempotency.is_some();
    // From here on the store may have the jobs, even if the caller goes away before it answers, so that dropping this future
    // must not delete their pictures.
    let inputs = inputs.keep();
    match api.store.submit(new).await {
        Ok(submitted) => {
            if submitted.replayed {
                delete_inputs(api, &inputs).await;
            } else {
                let images = submitted.jobs.iter().filter(|job| job.error.is_none()).count();
                api.networks.charge(client, UtcDay::of(api.store.now()), images as u64);
            }
            Ok(Submitted { record: submitted.jobs, replayed: submitted.replayed })
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
