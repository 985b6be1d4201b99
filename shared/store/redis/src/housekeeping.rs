//! Housekeeping, and the list of pictures without a use.

use std::time::Duration;

use async_trait::async_trait;
use remaster_shared::blob_key::BlobKey;
use remaster_store::{GARBAGE_LEASE, Housekeeping, Reaped, StoreError};

use super::RedisStore;
use super::wire::{self, Done, millis};

#[async_trait]
impl Housekeeping for RedisStore {
    async fn reap(&self) -> Result<Reaped, StoreError> {
        let kept = millis(self.policy.result_ttl + self.policy.record_ttl);
        let (attempts, lease) = (self.policy.max_attempts.to_string(), millis(self.policy.lease));
        let args = vec![self.time(), attempts, kept, lease, millis(self.policy.result_ttl)];
        let wire::ReapReply { requeued, poisoned, expired, forgotten, more } = self.call("rm_reap", args).await?;
        Ok(Reaped { requeued, poisoned, expired, forgotten, more })
    }

    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let args = vec![self.time(), millis(GARBAGE_LEASE), limit.to_string()];
        let reply: wire::EntriesReply = self.call("rm_garbage", args).await?;
        Ok(keys(&reply))
    }

    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError> {
        let _: Done = self.call("rm_collected", gone.into_iter().map(to_trash).collect()).await?;
        Ok(())
    }

    async fn takes_sweep(&self, every: Duration) -> Result<bool, StoreError> {
        let reply: wire::SweepReply = self.call("rm_takes_sweep", vec![self.time(), millis(every)]).await?;
        Ok(reply.taken)
    }

    async fn unused(&self, keys: Vec<BlobKey>) -> Result<Vec<BlobKey>, StoreError> {
        let reply: wire::EntriesReply = self.call("rm_unused", keys.into_iter().map(to_trash).collect()).await?;
        Ok(self::keys(&reply))
    }
}

fn keys(reply: &wire::EntriesReply) -> Vec<BlobKey> {
    reply.entries.0.iter().filter_map(|entry| from_trash(entry)).collect()
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
