//! Rolling back a submit that failed: its pictures are deleted, and so is what the store may have kept of it.

use std::{sync::Arc, time::Duration};

use remaster_blobs::Withdrawal;
use remaster_shared::job::JobId;
use remaster_store::{StoreError, SubmitError};
use tokio_util::sync::CancellationToken;

use crate::inputs::delete_inputs;
use crate::state::{Api, Shared};

/// How often a store that did not answer is asked again at first. After that the note of the withdrawal is left to the next round.
const TRIES: u32 = 20;
const RETRY_INTERVAL: Duration = Duration::from_secs(1);
/// How long noting a withdrawal may take while the caller waits for the answer.
const NOTED: Duration = Duration::from_secs(2);
/// How often notes of withdrawals are looked for, those of other nodes and of this node before a restart among them.
const ROUND: Duration = Duration::from_secs(60);

/// Rolls back the submit of `jobs`, which failed with `error`. The work goes on if this future is dropped.
pub async fn roll_back(api: &Shared, jobs: Vec<JobId>, error: &SubmitError) {
    let api = Arc::clone(api);
    match error {
        // The store may have carried out a submit that it did not answer. The caller does not wait until it is back, but until that
        // is noted: this process may end right after the answer.
        SubmitError::Store(_) => {
            let Some(withdrawal) = Withdrawal::of(jobs) else { return };
            let noting = tokio::spawn(async move {
                let owner = api.store.hasher().store_name();
                let noted = tokio::time::timeout(NOTED, api.blobs.note_withdrawal(&owner, &withdrawal)).await;
                if !matches!(noted, Ok(Ok(()))) {
                    tracing::warn!("a withdrawal could not be noted, so a restart of this node would forget it");
                }
                tokio::spawn(async move { withdraw(&api, &withdrawal).await });
            });
            if let Err(error) = noting.await {
                tracing::error!(%error, "a refused submit is not withdrawn");
            }
        }
        _ => {
            let deletion = tokio::spawn(async move { delete_inputs(&api, &jobs).await });
            if let Err(error) = deletion.await {
                tracing::error!(%error, "the deletion of a refused upload failed");
            }
        }
    }
}

async fn withdraw(api: &Api, withdrawal: &Withdrawal) {
    for _ in 0..TRIES {
        tokio::time::sleep(RETRY_INTERVAL).await;
        if carry_out(api, withdrawal).await.is_ok() {
            return;
        }
    }
    tracing::warn!(job = %withdrawal.jobs()[0], "the store does not answer, so a refused submit is withdrawn later");
}

async fn carry_out(api: &Api, withdrawal: &Withdrawal) -> Result<(), StoreError> {
    for job in withdrawal.jobs() {
        api.store.withdraw(*job).await?;
    }
    delete_inputs(api, withdrawal.jobs()).await;
    if let Err(error) = api.blobs.withdrawn(&api.store.hasher().store_name(), withdrawal).await {
        tracing::warn!(%error, "the note of a withdrawal could not be deleted; doing it again changes nothing");
    }
    Ok(())
}

/// Carries out the withdrawals that are noted, until `stop`: those that a store was silent about for long, and those of nodes that
/// ended.
pub async fn carry_out_withdrawals(api: Shared, stop: CancellationToken) {
    let mut rounds = tokio::time::interval(ROUND);
    rounds.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let owner = api.store.hasher().store_name();
    loop {
        tokio::select! {
            _ = rounds.tick() => {}
            () = stop.cancelled() => return,
        }
        let noted = match api.blobs.withdrawals(&owner).await {
            Ok(noted) => noted,
            Err(error) => {
                tracing::warn!(%error, "notes of withdrawals cannot be listed");
                continue;
            }
        };
        for withdrawal in noted {
            match carry_out(&api, &withdrawal).await {
                Ok(()) => tracing::info!(job = %withdrawal.jobs()[0], "a refused submit is withdrawn"),
                Err(error) => tracing::warn!(%error, "a refused submit is not withdrawn yet"),
            }
        }
    }
}
