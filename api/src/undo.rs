//! A submit that did not come to be: its picture goes, and what the store may have kept of it.

use std::{sync::Arc, time::Duration};

use remaster_shared::blob_key::BlobKey;
use remaster_shared::job::JobId;
use remaster_store::SubmitError;

use crate::state::Api;

/// How often an unreachable store is asked again; after that its own rules take their course: the job runs, unseen.
const TRIES: u32 = 60;
const PAUSE: Duration = Duration::from_secs(1);

/// Forgets `jobs`, which the store refused with `error`. Goes on when nobody waits for it any more.
pub async fn forget(api: &Arc<Api>, jobs: Vec<JobId>, error: &SubmitError) {
    let forgetting = Arc::clone(api);
    match error {
        // Without an answer, the store may have carried the submit out: that is found out when it is back.
        SubmitError::Store(_) => {
            tokio::spawn(async move { withdraw(&forgetting, jobs).await });
        }
        _ => {
            let _ = tokio::spawn(async move { delete_all(&forgetting, jobs).await }).await;
        }
    }
}

async fn withdraw(api: &Api, jobs: Vec<JobId>) {
    let mut left = TRIES;
    tokio::time::sleep(PAUSE).await;
    for job in jobs {
        while api.store.withdraw(job).await.is_err() {
            if left == 0 {
                tracing::warn!(%job, "whether a refused job was kept is not known; the store does not answer");
                return;
            }
            left -= 1;
            tokio::time::sleep(PAUSE).await;
        }
        delete(api, job).await;
    }
}

/// Deletes the pictures of jobs that are not there.
pub async fn delete_all(api: &Api, jobs: Vec<JobId>) {
    for job in jobs {
        delete(api, job).await;
    }
}

/// Deletes the picture of a job that is not there.
pub async fn delete(api: &Api, job: JobId) {
    let key = BlobKey::Input(job);
    if let Err(error) = api.blobs.delete(key).await {
        tracing::warn!(%key, %error, "a refused upload is left for the sweep");
    }
}
