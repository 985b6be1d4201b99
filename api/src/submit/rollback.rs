//! Rolling back a submit that failed: its pictures are deleted, and so is what the store may have kept of it.

use std::{sync::Arc, time::Duration};

use remaster_shared::job::JobId;
use remaster_store::SubmitError;

use crate::inputs::delete_inputs;
use crate::state::{Api, Shared};

/// How often a store that does not answer is asked again. After that the jobs, if they exist, run although nobody knows their
/// ids.
const MAX_TRIES: u32 = 60;
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Rolls back the submit of `jobs`, which failed with `error`. The work goes on if this future is dropped.
pub async fn roll_back(api: &Shared, jobs: Vec<JobId>, error: &SubmitError) {
    let api = Arc::clone(api);
    match error {
        // The store may have carried out a submit that it did not answer. The caller does not wait until it is back.
        SubmitError::Store(_) => {
            tokio::spawn(async move { withdraw(&api, jobs).await });
        }
        _ => {
            let deletion = tokio::spawn(async move { delete_inputs(&api, &jobs).await });
            if let Err(error) = deletion.await {
                tracing::error!(%error, "the deletion of a refused upload failed");
            }
        }
    }
}

async fn withdraw(api: &Api, jobs: Vec<JobId>) {
    let mut tries_left = MAX_TRIES;
    tokio::time::sleep(RETRY_INTERVAL).await;
    for job in jobs {
        while api.store.withdraw(job).await.is_err() {
            if tries_left == 0 {
                tracing::warn!(%job, "whether a refused job was kept is not known, because the store does not answer");
                return;
            }
            tries_left -= 1;
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
        delete_inputs(api, &[job]).await;
    }
}
