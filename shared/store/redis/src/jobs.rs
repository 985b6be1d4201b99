//! Reading.

use async_trait::async_trait;
use fred::interfaces::HashesInterface;
use jiff::Timestamp;
use remaster_shared::client::{ClientHasher, ClientKey};
use remaster_shared::clock::{Clock, SystemClock};
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord};
use remaster_shared::quota::{Quota, UtcDay};
use remaster_shared::stats::{QueueGauges, Stats};
use remaster_store::{Jobs, StoreError, Watch};
use uuid::Uuid;

use super::RedisStore;
use super::wire;

#[async_trait]
impl Jobs for RedisStore {
    fn name(&self) -> &'static str {
        "redis"
    }

    /// This node's clock. It decides the day of the quota and the times of attempts at webhooks. Leases, retries and the other times
    /// in job records go by the server's clock.
    fn now(&self) -> Timestamp {
        self.clock.as_ref().map_or_else(|| SystemClock.now(), |clock| clock.now())
    }

    fn hasher(&self) -> &ClientHasher {
        &self.hasher
    }

    async fn get(&self, id: JobId) -> Result<Option<JobRecord>, StoreError> {
        let reply: wire::GetReply = self.call("rm_get", vec![id.to_string()]).await?;
        let Some(job) = &reply.job else { return Ok(None) };
        let webhook = wire::delivery(reply.hook.as_ref())?;
        Ok(Some(JobRecord { position: reply.position, webhook, ..wire::record(job)? }))
    }

    async fn batch(&self, id: BatchId) -> Result<Option<BatchRecord>, StoreError> {
        wire::batch(&self.call("rm_batch", vec![id.to_string()]).await?)
    }

    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError> {
        let now = self.now();
        let key = format!("{{rm}}:quota:{}", UtcDay::of(now).0);
        let used: Option<u64> = self.client.hget(key, client.to_string()).await.map_err(StoreError::caused_by)?;
        // A client that is not in the hash has used nothing.
        Ok(Quota::new(used.unwrap_or(0), self.policy.daily_limit, now))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let wire::StatsReply { clients, used, queued, processing } =
            self.call("rm_stats", vec![self.time(), day]).await?;
        Ok(Stats { clients_today: clients, requests_today: used, queued, processing })
    }

    async fn gauges(&self) -> Result<QueueGauges, StoreError> {
        Ok(wire::gauges(self.call("rm_gauges", vec![self.time()]).await?))
    }

    fn watch(&self, id: Uuid) -> Watch {
        self.notifier.watch(id)
    }
}
