//! Submitting jobs and calling them off.

use async_trait::async_trait;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::from_millis;
use remaster_shared::idempotency::IdempotencyKey;
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord};
use remaster_shared::quota::{Quota, UtcDay};
use remaster_store::rules::price::price;
use remaster_store::{CancelError, Jobs, NewJobs, StoreError, Submissions, SubmitError, Submitted};

use super::wire::{self, Done, json};
use super::{RedisStore, server};

#[async_trait]
impl Submissions for RedisStore {
    async fn submit(&self, new: NewJobs) -> Result<Submitted, SubmitError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let (limit, queue) = (self.policy.daily_limit.to_string(), self.policy.max_queue.to_string());
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
        // A confirmation is of what its own connection has written.
        let client = self.confirming.as_ref().map_or(&self.client, |(_, client)| client);
        let reply: wire::SubmitReply = self.call_on(client, "rm_submit_3", args).await?;
        let now = from_millis(reply.now as i64);
        let quota = Quota::new(reply.used, self.policy.daily_limit, now);
        if let (None, Some((replicas, client))) = (&reply.refused, &self.confirming) {
            server::confirmed_by(client, *replicas).await?;
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
            (Some(wire::Refused::Full), _) => {
                let waiting = reply.waiting.ok_or_else(|| StoreError::new("a full queue without its length"))?;
                Err(SubmitError::QueueFull { waiting, limit: self.policy.max_queue })
            }
        }
    }

    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError> {
        let args = vec![self.time(), client.to_string(), key.as_str().to_owned()];
        let reply: wire::KnowsReply = self.call("rm_knows", args).await?;
        Ok(reply.replayed)
    }

    async fn cancel(&self, id: JobId) -> Result<JobRecord, CancelError> {
        let reply: wire::CancelReply = self.call("rm_cancel", vec![self.time(), id.to_string()]).await?;
        let record = wire::record(reply.job.as_ref().ok_or(CancelError::NotFound)?)?;
        match reply.finished {
            Some(false) => Ok(record),
            Some(true) => Err(CancelError::AlreadyFinished(record.status.as_str())),
            None => Err(StoreError::new("a cancel that does not say what came of it").into()),
        }
    }

    async fn cancel_batch(&self, id: BatchId) -> Result<BatchRecord, CancelError> {
        let reply: wire::BatchReply = self.call("rm_cancel_batch", vec![self.time(), id.to_string()]).await?;
        let batch = wire::batch(&reply)?.ok_or(CancelError::NotFound)?;
        match reply.finished {
            Some(false) => Ok(batch),
            Some(true) => Err(CancelError::AlreadyFinished(batch.status().as_str())),
            None => Err(StoreError::new("a cancel that does not say what came of it").into()),
        }
    }

    async fn withdraw(&self, job: JobId) -> Result<(), StoreError> {
        let _: Done = self.call("rm_withdraw", vec![self.time(), job.to_string()]).await?;
        Ok(())
    }
}
