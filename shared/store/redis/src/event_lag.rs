//! How late changes are heard: from time to time one that means nothing is published, and its way back to this process is timed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fred::interfaces::PubsubInterface;
use remaster_shared::metrics::Metrics;
use remaster_store::notifier::Notifier;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::servers::Servers;
use super::shards::Shards;
use super::subscriptions::channel;

/// The time from one to the next.
const EVERY: Duration = Duration::from_secs(30);
/// How long each is waited for. One that is lost counts as so late.
const AT_MOST: Duration = Duration::from_secs(10);

/// The measurement, which ends when this is dropped.
pub struct EventLag(JoinHandle<()>);

impl Drop for EventLag {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl EventLag {
    /// Measures from now on.
    pub fn measured(
        servers: Arc<Servers>,
        shards: Arc<Shards>,
        notifier: Arc<Notifier>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self(tokio::spawn(async move {
            loop {
                // Of no job, so that each time another shard may be meant.
                let id = Uuid::new_v4();
                let mut watch = notifier.watch(id);
                // The subscription to what is watched is told as a change.
                if tokio::time::timeout(AT_MOST, watch.changed()).await.is_ok() {
                    let began = Instant::now();
                    let tag = shards.of_id(id).tag();
                    let published = servers.of(tag).spublish::<(), _, _>(channel(tag, id), "").await;
                    if published.is_ok() {
                        let _ = tokio::time::timeout(AT_MOST, watch.changed()).await;
                        metrics.event_heard(began.elapsed());
                    }
                }
                drop(watch);
                tokio::time::sleep(EVERY).await;
            }
        }))
    }
}
