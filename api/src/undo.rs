//! A submit that did not come to be: its picture goes, and what the store may have kept of it.

use std::{sync::Arc, time::Duration};

use remaster_shared::blob::BlobKey;
use remaster_shared::job::JobId;
use remaster_shared::store::SubmitError;

use crate::state::Api;

/// How often an unreachable store is asked again; after that its own rules take their course: the job runs, unseen.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// Forgets `jobs`, which the store refused with `error`.
pub async fn forget(api: &Arc<Api>, jobs: Vec<JobId>, error: &SubmitError) {
    match error {
        // Without an answer, the store may have carried the submit out: that is found out when it is back.
        SubmitError::Store(_) => {
            let api = Arc::clone(api);
            tokio::spawn(async move {
                for job in jobs {
                    withdraw(&api, job).await;
                }
            });
        }
        _ => {
            for job in jobs {
                delete(api, job).await;
            }
        }
    }
}

async fn withdraw(api: &Api, job: JobId) {
    for _ in 0..TRIES {
        tokio::time::sleep(PAUSE).await;
        if api.store.withdraw(job).await.is_ok() {
            delete(api, job).await;
            return;
        }
    }
    tracing::warn!(%job, "whether a refused job was kept is not known; the store does not answer");
}

/// Deletes the picture of a job that is not there.
pub async fn delete(api: &Api, job: JobId) {
    let key = BlobKey::Input(job);
    if let Err(error) = api.blobs.delete(key).await {
        tracing::warn!(%key, %error, "a refused upload is left for the sweep");
    }
}
