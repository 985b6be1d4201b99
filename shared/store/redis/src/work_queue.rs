//! Claiming, keeping a lease, settling.

use std::time::Duration;

use async_trait::async_trait;
use remaster_shared::blob_key::OutputName;
use remaster_shared::client::ClientKey;
use remaster_shared::error::{Fault, JobError};
use remaster_shared::job::{JobRecord, JobResult, Skill, Status};
use remaster_shared::recipe::Recipe;
use remaster_store::rules::job::MAX_DEFERRALS;
use remaster_store::rules::retry;
use remaster_store::{Beat, Claim, ClaimRequest, Jobs, Lease, LeaseError, Outcome, StoreError, WorkQueue};
use serde::de::DeserializeOwned;

use super::RedisStore;
use super::choosing::claimant;
use super::shards::Shard;
use super::wire::{self, Done, Held, JobReply, json, millis};

#[async_trait]
impl WorkQueue for RedisStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        match self.shards.all() {
            [only] => self.claim_from(only, request).await,
            _ => self.claim_from_any(request).await,
        }
    }

    async fn wait_for_work(&self, skills: &[Skill], at_most: Duration) {
        let woken = async {
            tokio::select! {
                () = self.bell.rung(skills) => {}
                // After a reconnect, when something may have been missed.
                () = self.notifier.work() => {}
            }
        };
        let _ = tokio::time::timeout(at_most, woken).await;
    }

    async fn heartbeat(&self, lease: &Lease) -> Result<Beat, LeaseError> {
        let mut args = self.fenced(lease);
        args.push(millis(self.policy.lease));
        let reply: wire::BeatReply = self.held(lease, "rm_heartbeat", args).await?;
        Ok(if reply.cancel { Beat::Cancel } else { Beat::GoOn })
    }

    async fn progress(&self, lease: &Lease, fraction: f64) -> Result<(), LeaseError> {
        let fraction = fraction.clamp(0.0, 1.0).to_string();
        let args = vec![lease.job.to_string(), lease.fence.to_string(), fraction];
        let _: Done = self.held(lease, "rm_progress", args).await?;
        Ok(())
    }

    async fn finish(&self, lease: &Lease, outcome: Outcome) -> Result<JobRecord, LeaseError> {
        let reply = match outcome {
            Outcome::Succeeded(result) => self.succeed(lease, &result).await?,
            Outcome::Canceled => self.held(lease, "rm_canceled", self.fenced(lease)).await?,
            Outcome::Failed(error) => {
                let wait = || millis(retry::wait(self.policy.retry_after, lease.attempt, retry::spread()));
                let wait = if error.is_retryable() { wait() } else { String::new() };
                let service = if error.code.fault() == Fault::Service { "1" } else { "0" };
                let mut args = self.fenced(lease);
                args.extend([error.code.as_str().to_owned(), error.message, service.to_owned()]);
                args.extend([wait, self.policy.max_attempts.to_string(), millis(self.policy.result_ttl)]);
                self.held(lease, "rm_failed", args).await?
            }
            Outcome::Deferred(wait) => {
                let mut args = self.fenced(lease);
                let last = JobError::internal();
                args.extend([millis(wait.mul_f64(retry::spread())), MAX_DEFERRALS.to_string()]);
                args.extend([last.code.as_str().to_owned(), last.message, millis(self.policy.result_ttl)]);
                self.held(lease, "rm_deferred", args).await?
            }
        };
        Ok(wire::record(&reply.job)?)
    }

    async fn release(&self, lease: &Lease) -> Result<(), LeaseError> {
        let _: Done = self.held(lease, "rm_release", self.fenced(lease)).await?;
        Ok(())
    }

    async fn note_recipe(&self, job: &JobRecord, output: OutputName, recipe: Recipe) -> Result<(), StoreError> {
        let tag = self.shards.of_client(job.client).tag();
        let (key, made) = (recipe_key(tag, job.client, recipe), format!("{} {output}", job.id));
        let args = vec![key, made, "PX".to_owned(), millis(self.policy.result_ttl)];
        self.plain::<String>(tag, "SET", args).await.map(drop)
    }

    async fn made_by(&self, client: ClientKey, recipe: Recipe) -> Result<Option<JobRecord>, StoreError> {
        let tag = self.shards.of_client(client).tag();
        let noted: Option<String> = self.plain(tag, "GET", vec![recipe_key(tag, client, recipe)]).await?;
        let noted = noted.as_deref().and_then(|noted| noted.split_once(' '));
        let Some((Ok(job), output)) = noted.map(|(job, output)| (job.parse(), output)) else { return Ok(None) };
        let is_kept = |job: &JobRecord| {
            job.status == Status::Succeeded && job.output.is_some_and(|name| name.to_string() == output)
        };
        Ok(self.get(job).await?.filter(is_kept))
    }
}

fn recipe_key(tag: &str, client: ClientKey, recipe: Recipe) -> String {
    format!("{tag}:made:{client}:{recipe}")
}

impl RedisStore {
    /// Claims a job of this shard.
    pub(super) async fn claim_from(&self, shard: &Shard, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let ClaimRequest { worker, fence, .. } = request;
        let (lease, attempts) = (millis(self.policy.lease), self.policy.max_attempts.to_string());
        let kept = millis(self.policy.result_ttl);
        let mut args = vec![self.time(), worker.clone(), lease, attempts, fence.to_string(), kept];
        args.extend(claimant(request));
        match self.call(shard.tag(), "rm_claim_6", args).await? {
            wire::ClaimReply::HeldBack {} => Ok(Claim::HeldBack),
            wire::ClaimReply::Next(next) => Ok(Claim::Nothing { next: wire::wait(next) }),
            wire::ClaimReply::Job(hash) => {
                let job = match wire::record(&hash) {
                    Ok(job) => job,
                    Err(error) => return Err(self.give_up(shard, &hash, error).await),
                };
                let lease = Lease { job: job.id, attempt: job.attempt, fence: *fence, worker: worker.clone() };
                Ok(Claim::Job(Box::new(job), lease))
            }
        }
    }

    /// Fails a job whose record cannot be read, since no worker would ever get further with it.
    async fn give_up(&self, shard: &Shard, job: &wire::Hash, error: StoreError) -> StoreError {
        let [Some(id), Some(fence)] = ["id", "fence"].map(|name| job.get(name)) else { return error };
        let failed = JobError::internal();
        let mut args = vec![self.time(), id.clone(), fence.clone(), failed.code.as_str().to_owned(), failed.message];
        args.extend([
            "1".to_owned(),
            String::new(),
            self.policy.max_attempts.to_string(),
            millis(self.policy.result_ttl),
        ]);
        let settled: Result<wire::Held<JobReply>, _> = self.call(shard.tag(), "rm_failed", args).await;
        tracing::error!(job = id, %error, settled = settled.is_ok(), "a job's record cannot be read, so the job fails");
        error
    }

    /// A verb of a lease's holder.
    async fn held<T: DeserializeOwned>(
        &self,
        lease: &Lease,
        function: &'static str,
        args: Vec<String>,
    ) -> Result<T, LeaseError> {
        match self.call(self.shards.of_id(lease.job.0).tag(), function, args).await? {
            Held::Lost { .. } => Err(LeaseError::Lost),
            Held::Kept(reply) => Ok(reply),
        }
    }

    async fn succeed(&self, lease: &Lease, result: &JobResult) -> Result<JobReply, LeaseError> {
        let mut args = self.fenced(lease);
        args.extend([json(result)?, millis(self.policy.result_ttl)]);
        self.held(lease, "rm_succeed", args).await
    }

    /// Time, job and fence.
    fn fenced(&self, lease: &Lease) -> Vec<String> {
        vec![self.time(), lease.job.to_string(), lease.fence.to_string()]
    }
}
