//! What operators do by hand.

use std::collections::BTreeSet;

use async_trait::async_trait;
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
        // Each shard is paused; the first one tells.
        let tag = self.shards.all()[0].tag();
        self.plain(tag, "EXISTS", vec![format!("{tag}:paused")]).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), StoreError> {
        self.call_all::<Done>("rm_pause", vec![switch(paused)]).await.map(drop)
    }

    async fn drained(&self) -> Result<BTreeSet<String>, StoreError> {
        let tag = self.shards.all()[0].tag();
        let names: Vec<String> = self.plain(tag, "SMEMBERS", vec![format!("{tag}:drained")]).await?;
        Ok(names.into_iter().collect())
    }

    async fn set_drained(&self, worker: &str, drained: bool) -> Result<(), StoreError> {
        self.call_all::<Done>("rm_drain", vec![worker.to_owned(), switch(drained)]).await.map(drop)
    }

    async fn list(&self, list: JobList, limit: usize) -> Result<Vec<JobRecord>, StoreError> {
        let (which, code) = match list {
            JobList::Failed(code) => ("failed", code.map(|code| code.as_str())),
            JobList::Processing => ("processing", None),
            JobList::Waiting => ("waiting", None),
        };
        let args = vec![which.to_owned(), code.unwrap_or_default().to_owned(), limit.to_string()];
        let replies: Vec<wire::JobsReply> = self.call_those_up("rm_list", args).await?;
        let mut jobs: Vec<_> =
            replies.iter().flat_map(|reply| &reply.jobs.0).map(wire::record).collect::<Result<_, _>>()?;
        // Each shard gave its own in order. Of several shards the lists are merged by the times that the records tell.
        if replies.len() > 1 {
            match list {
                JobList::Failed(_) => jobs.sort_by_key(|job: &JobRecord| std::cmp::Reverse(job.finished_at)),
                JobList::Processing => jobs.sort_by_key(|job| job.started_at),
                JobList::Waiting => jobs.sort_by_key(|job| job.created_at),
            }
        }
        jobs.truncate(limit);
        Ok(jobs)
    }

    async fn requeue(&self, job: JobId) -> Result<JobRecord, RequeueError> {
        let reply: wire::RequeueReply = self
            .call(
                self.shards.of_id(job.0).tag(),
                "rm_requeue",
                vec![self.time(), job.to_string(), wire::millis(self.policy.result_ttl)],
            )
            .await?;
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
        let reply: wire::PurgeReply =
            self.call(self.shards.of_client(client).tag(), "rm_purge", vec![self.time(), client.to_string()]).await?;
        Ok(reply.canceled)
    }

    async fn adjust_quota(&self, client: ClientKey, units: i64) -> Result<Quota, StoreError> {
        let day = UtcDay::of(self.now()).0.to_string();
        let args = vec![self.time(), client.to_string(), day, units.to_string()];
        let reply: wire::QuotaReply = self.call(self.shards.of_client(client).tag(), "rm_adjust_quota", args).await?;
        Ok(Quota::new(reply.used, self.policy.daily_limit, from_millis(reply.now as i64)))
    }

    async fn resend(&self, subject: Uuid) -> Result<bool, StoreError> {
        let reply: wire::ResendReply =
            self.call(self.shards.of_id(subject).tag(), "rm_resend", vec![self.time(), subject.to_string()]).await?;
        Ok(reply.again)
    }
}

fn switch(on: bool) -> String {
    u8::from(on).to_string()
}
