//! Housekeeping, and the list of pictures without a use.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::try_join_all;
use remaster_shared::blob_key::BlobKey;
use remaster_store::{GARBAGE_LEASE, Housekeeping, Reaped, StoreError};

use super::RedisStore;
use super::shards::COMMON;
use super::wire::{self, Done, millis};

#[async_trait]
impl Housekeeping for RedisStore {
    async fn reap(&self) -> Result<Reaped, StoreError> {
        let kept = millis(self.policy.result_ttl + self.policy.record_ttl);
        let (attempts, lease) = (self.policy.max_attempts.to_string(), millis(self.policy.lease));
        let args = vec![self.time(), attempts, kept, lease, millis(self.policy.result_ttl)];
        let mut all = Reaped::default();
        for reply in self.call_those_up::<wire::ReapReply>("rm_reap", args).await? {
            let wire::ReapReply { requeued, poisoned, expired, forgotten, more } = reply;
            all.requeued += requeued;
            all.poisoned += poisoned;
            all.expired += expired;
            all.forgotten += forgotten;
            all.more |= more;
        }
        Ok(all)
    }

    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        let (mut found, mut failed) = (Vec::new(), None);
        for shard in self.shards.beginning_at(self.home) {
            if found.len() == limit {
                break;
            }
            let args = vec![self.time(), millis(GARBAGE_LEASE), (limit - found.len()).to_string()];
            match self.call::<wire::EntriesReply>(shard.tag(), "rm_garbage", args).await {
                Ok(reply) => found.extend(keys(&reply)),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if found.is_empty() => Err(error),
            _ => Ok(found),
        }
    }

    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError> {
        let by_shard = self.by_shard(gone).into_iter();
        let calls = by_shard.map(|(tag, entries)| self.call::<Done>(tag, "rm_collected", entries));
        try_join_all(calls).await.map(drop)
    }

    async fn takes_sweep(&self, every: Duration) -> Result<bool, StoreError> {
        let reply: wire::SweepReply = self.call(COMMON, "rm_takes_sweep", vec![self.time(), millis(every)]).await?;
        Ok(reply.taken)
    }

    async fn unused(&self, keys: Vec<BlobKey>) -> Result<Vec<BlobKey>, StoreError> {
        let by_shard = self.by_shard(keys.clone()).into_iter();
        let calls = by_shard.map(|(tag, entries)| self.call::<wire::EntriesReply>(tag, "rm_unused", entries));
        let unused: HashSet<BlobKey> = try_join_all(calls).await?.iter().flat_map(self::keys).collect();
        Ok(keys.into_iter().filter(|key| unused.contains(key)).collect())
    }
}

impl RedisStore {
    /// The pictures as the trash names them, by the shards of their jobs.
    fn by_shard(&self, keys: Vec<BlobKey>) -> BTreeMap<&str, Vec<String>> {
        let mut by_shard: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for key in keys {
            by_shard.entry(self.shards.of_id(key.job().0).tag()).or_default().push(to_trash(key));
        }
        by_shard
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
