//! Housekeeping, and the list of pictures without a use.

use async_trait::async_trait;
use fred::interfaces::SortedSetsInterface;
use remaster_shared::blob_key::BlobKey;
use remaster_store::{Housekeeping, Reaped, StoreError};

use super::RedisStore;
use super::wire::{self, Done, millis};

#[async_trait]
impl Housekeeping for RedisStore {
    async fn reap(&self) -> Result<Reaped, StoreError> {
        let kept = millis(self.policy.result_ttl + self.policy.record_ttl);
        let wire::ReapReply { requeued, poisoned, expired, forgotten } = self
            .call("rm_reap", vec![self.time(), self.policy.max_attempts.to_string(), kept, millis(self.policy.lease)])
            .await?;
        Ok(Reaped { requeued, poisoned, expired, forgotten })
    }

    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let last = limit as i64 - 1;
        let entries = self.client.zrange::<Vec<String>, _, _, _>("{rm}:trash", 0, last, None, false, None, false).await;
        Ok(entries.map_err(StoreError::caused_by)?.iter().filter_map(|entry| from_trash(entry)).collect())
    }

    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError> {
        let _: Done = self.call("rm_collected", gone.into_iter().map(to_trash).collect()).await?;
        Ok(())
    }
}

fn to_trash(key: BlobKey) -> String {
    match key {
        BlobKey::Input(job) => format!("i:{job}"),
        BlobKey::Output(job, attempt) => format!("o:{job}:{attempt}"),
    }
}

fn from_trash(entry: &str) -> Option<BlobKey> {
    match entry.split(':').collect::<Vec<_>>()[..] {
        ["i", job] => Some(BlobKey::Input(job.parse().ok()?)),
        ["o", job, attempt] => Some(BlobKey::Output(job.parse().ok()?, attempt.parse().ok()?)),
        _ => None,
    }
}
