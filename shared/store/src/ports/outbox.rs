//! The outbox of webhooks: what is to be told, to whom, and what came of it.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use remaster_shared::webhook::{Attempted, DueHook};

use super::Jobs;
use crate::StoreError;

/// Deliveries to try now. Each belongs to its caller alone for [`HOOK_LEASE`].
#[derive(Debug, Default, PartialEq)]
pub struct DueHooks {
    /// The deliveries.
    pub due: Vec<DueHook>,
    /// How long it is until the next one may be due.
    pub next: Option<Duration>,
}

/// How long a delivery that was handed out belongs to its holder. Longer than an attempt can take.
pub const HOOK_LEASE: Duration = Duration::from_secs(30);

/// How many deliveries a caller can take, and how many it has under way.
#[derive(Debug, Clone, Default)]
pub struct HookRoom {
    /// How many it can take in all.
    pub total: usize,
    /// How many it sends to one host at once.
    pub per_host: usize,
    /// How many are under way to each host.
    pub under_way: BTreeMap<String, usize>,
}

impl HookRoom {
    /// How many more may go to `host` once `taken` were taken for any host.
    pub fn left(&self, host: &str, taken: usize) -> usize {
        let busy = self.under_way.get(host).copied().unwrap_or(0);
        self.per_host.saturating_sub(busy).min(self.total.saturating_sub(taken))
    }
}

/// What the deliverer of webhooks may do.
#[async_trait]
pub trait Outbox: Jobs {
    /// Hands out webhooks whose time has come, as many as there is room for.
    ///
    /// # Errors
    /// The store does not answer.
    async fn due_hooks(&self, room: HookRoom) -> Result<DueHooks, StoreError>;

    /// Records an attempt. The number of attempts is the fence: an attempt that another one overtook changes nothing.
    ///
    /// # Errors
    /// The store does not answer.
    async fn hook_attempted(&self, attempted: Attempted) -> Result<(), StoreError>;

    /// Returns when a webhook may have become due, or after `at_most`. It may return early.
    async fn wait_for_hooks(&self, at_most: Duration);
}
