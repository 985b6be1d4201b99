//! Reading.

use async_trait::async_trait;
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
        let reply: wire::GetReply = self.call(self.shards.of_id(id.0).tag(), "rm_get", vec![id.to_string()]).await?;
        let Some(job) = &reply.job else { return Ok(None) };
        let webhook = wire::delivery(reply.hook.as_ref())?;
        Ok(Some(JobRecord { position: reply.position, webhook, ..wire::record(job)? }))
    }

    async fn batch(&self, id: BatchId) -> Result<Option<BatchRecord>, StoreError> {
        wire::batch(&self.call(self.shards.of_id(id.0).tag(), "rm_batch", vec![id.to_string()]).await?)
    }

    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError> {
        let now = self.now();
        let tag = self.shards.of_client(client).tag();
        let key = format!("{tag}:quota:{}", UtcDay::of(now).0);
        let used: Option<u64> = self.plain(tag, "HGET", vec![key, client.to_string()]).await?;
        // A client that is not in the hash has used nothing.
        Ok(Quota::new(used.unwrap_or(0), self.policy.daily_limit, now))
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let replies: Vec<wire::StatsReply> = self.call_those_up("rm_stats", vec![self.time(), day]).await?;
        Ok(Stats {
            clients_today: replies.iter().map(|reply| reply.clients).sum(),
            requests_today: replies.iter().map(|reply| reply.used).sum(),
            queued: replies.iter().map(|reply| reply.queued).sum(),
            processing: replies.iter().map(|reply| reply.processing).sum(),
        })
    }

    async fn gauges(&self) -> Result<QueueGauges, StoreError> {
        let replies: Vec<wire::GaugesReply> = self.call_those_up("rm_gauges", vec![self.time()]).await?;
        let mut all = QueueGauges::default();
        for gauges in replies.into_iter().map(wire::gauges) {
            all.oldest = [all.oldest, gauges.oldest].into_iter().flatten().min();
            for (model, jobs) in gauges.queued_by_model {
                *all.queued_by_model.entry(model).or_default() += jobs;
            }
            all.garbage += gauges.garbage;
            all.webhooks += gauges.webhooks;
            all.reclaimed += gauges.reclaimed;
            all.poisoned += gauges.poisoned;
            all.lost += gauges.lost;
        }
        Ok(all)
    }

    fn watch(&self, id: Uuid) -> Watch {
        self.notifier.watch(id)
    }
}
