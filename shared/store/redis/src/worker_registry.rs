//! Which workers there are.

use async_trait::async_trait;
use remaster_shared::clock::from_millis;
use remaster_shared::fleet::{Announcement, WORKER_REMEMBERED, WorkerSeen};
use remaster_store::{Jobs, StoreError, WorkerRegistry};

use super::RedisStore;
use super::shards::COMMON;
use super::wire::{self, Done, json, millis};

#[async_trait]
impl WorkerRegistry for RedisStore {
    async fn announce(&self, worker: &Announcement) -> Result<(), StoreError> {
        let _: Done = self.call(COMMON, "rm_announce", vec![self.time(), worker.name.clone(), json(worker)?]).await?;
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<WorkerSeen>, StoreError> {
        let reply: wire::WorkersReply =
            self.call(COMMON, "rm_workers", vec![self.time(), millis(WORKER_REMEMBERED)]).await?;
        // Times are the server's; this converts them to this node's clock.
        let ahead = self.now().duration_since(from_millis(reply.now as i64));
        // An entry that cannot be read, for example one of another release, is skipped.
        let readable = reply.workers.iter().filter_map(|(said, at)| {
            wire::worker(said, at).inspect_err(|error| tracing::warn!(%error, "a worker is passed over")).ok()
        });
        let told =
            |worker: WorkerSeen| WorkerSeen { at: worker.at.saturating_add(ahead).unwrap_or(worker.at), ..worker };
        Ok(readable.map(told).collect())
    }
}
