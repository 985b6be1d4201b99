//! The outbox of webhooks.

use std::time::Duration;

use async_trait::async_trait;
use remaster_shared::webhook::{Attempted, DeliveryStatus, Next};
use remaster_store::{DueHooks, HOOK_LEASE, HookRoom, Outbox, StoreError};

use super::RedisStore;
use super::wire::{self, Done, json, millis};

/// How soon the shards are asked again while the server of one does not answer.
const AGAIN: Duration = Duration::from_secs(1);

#[async_trait]
impl Outbox for RedisStore {
    async fn due_hooks(&self, room: HookRoom) -> Result<DueHooks, StoreError> {
        let (mut all, mut room, mut failed, count) = (DueHooks::default(), room, None, self.shards.all().len());
        for shard in self.shards.beginning_at(self.home) {
            if shard.rests() {
                all.next = Some(all.next.map_or(AGAIN, |next| next.min(AGAIN)));
                continue;
            }
            let DueHooks { due, next } = match self.due_in(shard.tag(), &room).await {
                Ok(due) => due,
                Err(error) => {
                    if count > 1 {
                        shard.rest();
                    }
                    failed = Some(error);
                    continue;
                }
            };
            room.total -= due.len().min(room.total);
            for hook in &due {
                *room.under_way.entry(hook.target.host().to_owned()).or_default() += 1;
            }
            all.due.extend(due);
            all.next = [all.next, next].into_iter().flatten().min();
        }
        match failed {
            Some(error) if all.due.is_empty() => Err(error),
            _ => Ok(all),
        }
    }

    async fn hook_attempted(&self, attempted: Attempted) -> Result<(), StoreError> {
        let Attempted { subject, attempts, attempt, body, next } = attempted;
        let next = match next {
            Next::Retry(wait) => millis(wait),
            Next::Delivered => DeliveryStatus::Delivered.as_str().to_owned(),
            Next::GiveUp => DeliveryStatus::Failed.as_str().to_owned(),
        };
        let args = vec![self.time(), subject.id().to_string(), attempts.to_string(), json(&attempt)?];
        let args = [args, vec![body.unwrap_or_default(), next]].concat();
        let _: Done = self.call(self.shards.of_id(subject.id()).tag(), "rm_hook_attempted", args).await?;
        Ok(())
    }

    async fn wait_for_hooks(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.notifier.hooks()).await;
    }
}

impl RedisStore {
    async fn due_in(&self, tag: &str, room: &HookRoom) -> Result<DueHooks, StoreError> {
        let mut args = vec![self.time(), millis(HOOK_LEASE), room.total.to_string(), room.per_host.to_string()];
        args.extend(room.under_way.iter().flat_map(|(host, under_way)| [host.clone(), under_way.to_string()]));
        let reply: wire::HooksReply = self.call(tag, "rm_due_hooks", args).await?;
        // An entry that cannot be read, for example one of another release, is skipped.
        let readable = reply.hooks.iter().filter_map(|hook| {
            wire::due_hook(hook).inspect_err(|error| tracing::warn!(%error, "a webhook is passed over")).ok()
        });
        Ok(DueHooks { due: readable.collect(), next: wire::wait(reply.next) })
    }
}
