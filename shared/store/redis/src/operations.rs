//! What operators do by hand.

use std::collections::BTreeSet;

use async_trait::async_trait;
use fred::interfaces::{KeysInterface, SetsInterface};
use remaster_shared::client::ClientKey;
use remaster_shared::clock::from_millis;
use remaster_shared::job::{IllegalTransition, JobId, JobRecord, Status};
use remaster_shared::quota::{Quota, UtcDay};
use remaster_store::rules::job::Refused;
use remaster_store::{JobList, Jobs, Operations, RequeueError, StoreError};
use uuid::Uuid;

use super::RedisStore;
use super::wire::{self, Done};

#[async_trait]
impl Operations for RedisStore {
    async fn is_paused(&self) -> Result<bool, StoreError> {
        self.client.exists("{rm}:paused").await.map_err(StoreError::caused_by)
    }

    async fn set_paused(&self, paused: bool) -> Result<(), StoreError> {
        let _: Done = self.call("rm_pause", vec![switch(paused)]).await?;
        Ok(())
    }

    async fn drained(&self) -> Result<BTreeSet<String>, StoreError> {
        let names: Vec<String> = self.client.smembers("{rm}:drained").await.map_err(StoreError::caused_by)?;
        Ok(names.into_iter().collect())
    }

    async fn set_drained(&self, worker: &str, drained: bool) -> Result<(), StoreError> {
        let _: Done = self.call("rm_drain", vec![worker.to_owned(), switch(drained)]).await?;
        Ok(())
    }

    async fn list(&self, list: JobList, limit: usize) -> Result<Vec<JobRecord>, StoreError> {
        let (which, code) = match list {
            JobList::Failed(code) => ("failed", code.map(|code| code.as_str())),
            JobList::Processing => ("processing", None),
            JobList::Waiting => ("waiting", None),
        };
        let args = vec![which.to_owned(), code.unwrap_or_default().to_owned(), limit.to_string()];
        let reply: wire::JobsReply = self.call("rm_list", args).await?;
        reply.jobs.0.iter().map(wire::record).collect()
    }

    async fn requeue(&self, job: JobId) -> Result<JobRecord, RequeueError> {
        let reply: wire::RequeueReply =
            self.call("rm_requeue", vec![self.time(), job.to_string(), wire::millis(self.policy.result_ttl)]).await?;
        let record = wire::record(reply.job.as_ref().ok_or(RequeueError::NotFound)?)?;
        match reply.refused {
            None => Ok(record),
            Some(wire::NotRequeued::InputGone) => Err(RequeueError::Refused(Refused::InputGone)),
            Some(wire::NotRequeued::Illegal) => {
                let illegal = IllegalTransition { from: record.status, to: Status::Queued };
                Err(RequeueError::Refused(illegal.into()))
            }
        }
    }

    async fn purge(&self, client: ClientKey) -> Result<u64, StoreError> {
        let reply: wire::PurgeReply = self.call("rm_purge", vec![self.time(), client.to_string()]).await?;
        Ok(reply.canceled)
    }

    async fn adjust_quota(&self, client: ClientKey, units: i64) -> Result<Quota, StoreError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let args = vec![self.time(), client.to_string(), day, units.to_string()];
        let reply: wire::QuotaReply = self.call("rm_adjust_quota", args).await?;
        Ok(Quota::new(reply.used, self.policy.daily_limit, from_millis(reply.now as i64)))
    }

    async fn resend(&self, subject: Uuid) -> Result<bool, StoreError> {
        let reply: wire::ResendReply = self.call("rm_resend", vec![self.time(), subject.to_string()]).await?;
        Ok(reply.again)
    }
}

fn switch(on: bool) -> String {
    u8::from(on).to_string()
}
