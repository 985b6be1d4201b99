//! Submitting jobs and calling them off.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use fred::clients::Client;
use futures::future::join_all;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::from_millis;
use remaster_shared::idempotency::IdempotencyKey;
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord};
use remaster_shared::quota::{Quota, UtcDay};
use remaster_store::rules::price::price;
use remaster_store::{CancelError, Jobs, NewJobs, StoreError, Submissions, SubmitError, Submitted};

use super::servers::Servers;
use super::wire::{self, Done, json};
use super::{RedisStore, server};

#[async_trait]
impl Submissions for RedisStore {
    async fn submit(&self, new: NewJobs) -> Result<Submitted, SubmitError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let tag = self.shards.of_client(new.client).tag();
        if let Some(job) = new.jobs.iter().find(|job| self.shards.of_id(job.id.0).tag() != tag) {
            return Err(StoreError::new(format!("the id of {} is not one of its client's", job.id)).into());
        }
        if let Some(batch) = new.batch.filter(|batch| self.shards.of_id(batch.0).tag() != tag) {
            return Err(StoreError::new(format!("the id of batch {batch} is not one of its client's")).into());
        }
        // The shard is told how many more the whole queue takes.
        let elsewhere = self.queued_elsewhere(tag).await;
        let queue = self.policy.max_queue.saturating_sub(elsewhere);
        let (limit, queue) = (self.policy.daily_limit.to_string(), queue.to_string());
        let (key, fingerprint) = match &new.idempotency {
            Some(same) => (same.key.as_str().to_owned(), same.fingerprint.to_string()),
            None => Default::default(),
        };
        let batch = new.batch.map(|batch| batch.to_string()).unwrap_or_default();
        let (target, host) = match &new.webhook {
            Some(target) => (json(target)?, target.host().to_owned()),
            None => Default::default(),
        };
        let mut args = vec![self.time(), new.client.to_string(), day, limit, queue, key, fingerprint];
        args.extend([batch, target, host, new.units().to_string()]);
        for job in &new.jobs {
            args.extend([job.id.to_string(), json(&job.params)?, json(&job.input)?, price(job).to_string()]);
            args.push(job.refused.as_ref().map(json).transpose()?.unwrap_or_default());
        }
        let (reply, client): (wire::SubmitReply, _) =
            self.call_on(self.confirming_servers(), tag, "rm_submit_3", args).await?;
        let now = from_millis(reply.now as i64);
        let quota = Quota::new(reply.used, self.policy.daily_limit, now);
        if reply.refused.is_none() {
            self.confirmed(&client, tag).await?;
        }
        match (reply.refused, reply.jobs) {
            (None, Some(jobs)) => {
                let jobs = jobs.iter().map(wire::record).collect::<Result<_, _>>()?;
                Ok(Submitted { jobs, quota, replayed: true })
            }
            (None, None) => {
                let jobs = new.jobs.into_iter().map(|job| job.into_record(new.client, new.batch, now)).collect();
                Ok(Submitted { jobs, quota, replayed: false })
            }
            (Some(wire::Refused::Reused), _) => Err(SubmitError::KeyReused),
            (Some(wire::Refused::Quota), _) => Err(SubmitError::QuotaExceeded(quota)),
            // Its caller has been told long since that it had failed.
            (Some(wire::Refused::Withdrawn), _) => {
                Err(StoreError::new("the submit was withdrawn before it arrived").into())
            }
            (Some(wire::Refused::Full), _) => {
                let here = reply.waiting.ok_or_else(|| StoreError::new("a full queue without its length"))?;
                let waiting = here + elsewhere;
                Err(SubmitError::QueueFull { waiting, limit: self.policy.max_queue })
            }
        }
    }

    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError> {
        let args = vec![self.time(), client.to_string(), key.as_str().to_owned()];
        let reply: wire::KnowsReply = self.call(self.shards.of_client(client).tag(), "rm_knows", args).await?;
        Ok(reply.replayed)
    }

    async fn cancel(&self, id: JobId) -> Result<JobRecord, CancelError> {
        let reply: wire::CancelReply =
            self.call(self.shards.of_id(id.0).tag(), "rm_cancel", vec![self.time(), id.to_string()]).await?;
        let record = wire::record(reply.job.as_ref().ok_or(CancelError::NotFound)?)?;
        match reply.finished {
            Some(false) => Ok(record),
            Some(true) => Err(CancelError::AlreadyFinished(record.status.as_str())),
            None => Err(StoreError::new("a cancel that does not say what came of it").into()),
        }
    }

    async fn cancel_batch(&self, id: BatchId) -> Result<BatchRecord, CancelError> {
        let reply: wire::BatchReply =
            self.call(self.shards.of_id(id.0).tag(), "rm_cancel_batch", vec![self.time(), id.to_string()]).await?;
        let batch = wire::batch(&reply)?.ok_or(CancelError::NotFound)?;
        match reply.finished {
            Some(false) => Ok(batch),
            Some(true) => Err(CancelError::AlreadyFinished(batch.status().as_str())),
            None => Err(StoreError::new("a cancel that does not say what came of it").into()),
        }
    }

    async fn withdraw(&self, job: JobId) -> Result<(), StoreError> {
        let tag = self.shards.of_id(job.0).tag();
        let servers = self.confirming.as_ref().map_or(&self.servers, |(_, servers)| servers);
        let (_, client): (Done, _) =
            self.call_on(servers, tag, "rm_withdraw", vec![self.time(), job.to_string()]).await?;
        // Otherwise a failover might bring back what was withdrawn.
        self.confirmed(&client, tag).await
    }
}

/// How many jobs wait in each shard, by its tag, and when that was.
pub type Lengths = (Instant, Vec<(String, u64)>);

/// How long the lengths of the other shards' queues are believed.
const LENGTHS_LAST: Duration = Duration::from_secs(1);
/// How long a shard may take to tell its length.
const LOOK: Duration = Duration::from_millis(500);

impl RedisStore {
    /// The connections for what replicas may have to confirm. A confirmation is of what its own connection has written.
    fn confirming_servers(&self) -> &Arc<Servers> {
        self.confirming.as_ref().map_or(&self.servers, |(_, servers)| servers)
    }

    /// Waits until replicas have confirmed what `client` wrote to the server that holds `tag`, where that is set.
    async fn confirmed(&self, client: &Client, tag: &str) -> Result<(), StoreError> {
        match &self.confirming {
            Some((replicas, _)) => server::confirmed_by(client, tag, *replicas).await,
            None => Ok(()),
        }
    }

    /// How many jobs wait in all shards but this one, as of a moment ago. A shard that does not answer counts as empty.
    async fn queued_elsewhere(&self, tag: &str) -> u64 {
        if self.shards.all().len() == 1 {
            return 0;
        }
        // While another submit looks, or while it takes long, what was known before counts.
        let old = self.lengths.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_new = |(at, _): &Lengths| at.elapsed() < LENGTHS_LAST;
        let known = match (self.looking.try_lock(), old) {
            (Ok(_looking), old) if !old.as_ref().is_some_and(is_new) => {
                let day = UtcDay::of(self.now()).0.to_string();
                let lengths = self.shards.all().iter().filter(|shard| !shard.rests()).map(async |shard| {
                    let look = self.call::<wire::StatsReply>(shard.tag(), "rm_stats", vec![self.time(), day.clone()]);
                    let queued = match tokio::time::timeout(LOOK, look).await {
                        Ok(Ok(reply)) => reply.queued,
                        Ok(Err(_)) | Err(_) => {
                            shard.rest();
                            self.servers.suspect();
                            0
                        }
                    };
                    (shard.tag().to_owned(), queued)
                });
                let new = Some((Instant::now(), join_all(lengths).await));
                self.lengths.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&new);
                new
            }
            (_, old) => old,
        };
        let lengths = known.iter().flat_map(|(_, lengths)| lengths);
        lengths.filter(|(shard, _)| shard != tag).map(|(_, queued)| queued).sum()
    }
}
