//! Hearing of changes: each job or batch has a channel of its own, to which a node subscribes while somebody there watches it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fred::clients::{Client, SubscriberClient};
use fred::interfaces::{EventInterface, PubsubInterface};
use fred::types::{Message, MessageKind};
use futures::future::join_all;
use remaster_store::notifier::{Interest, Notifier};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinHandle;
use uuid::Uuid;

use super::RedisError;
use super::connect::{CONNECT, connected, late, subscriber};
use super::shards::Shards;

/// What stands between the tag of a shard and the id.
const EVENTS: &str = ":ev:";
const HOOK: &str = "{rm}:hook";
const RETRY: Duration = Duration::from_millis(200);
/// How often subscriptions are renewed after one reconnect, if that fails. The next reconnect does it again.
const RENEWALS: u32 = 5;
/// How many subscriptions are made or ended with one command.
const AT_ONCE: usize = 256;

/// The subscriptions of a store. They end when it is dropped.
pub struct Subscriptions([JoinHandle<()>; 2]);

impl Drop for Subscriptions {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Subscribes for `notifier`, whose watches come and go as `interests` says.
///
/// Returns only when a message from `publisher` has arrived, because the client may report the subscription before it is active.
pub async fn subscribe(
    url: &str,
    publisher: &Client,
    shards: Arc<Shards>,
    (notifier, interests): (Arc<Notifier>, UnboundedReceiver<Interest>),
) -> Result<Subscriptions, RedisError> {
    let client = subscriber(url)?;
    let mut messages = client.message_rx();
    connected(&client).await?;
    client.manage_subscriptions();
    client.subscribe(HOOK).await.map_err(RedisError::Unreachable)?;
    arrives(publisher, &mut messages).await?;
    let hearing = tokio::spawn(hear(client.clone(), messages, Arc::clone(&shards), Arc::clone(&notifier)));
    Ok(Subscriptions([hearing, tokio::spawn(follow(client, interests, shards, notifier))]))
}

/// Publishes until a message comes back.
async fn arrives(publisher: &Client, messages: &mut Receiver<Message>) -> Result<(), RedisError> {
    let heard = async {
        loop {
            publisher.publish::<(), _, _>(HOOK, "hello").await.map_err(RedisError::Unreachable)?;
            let message = tokio::time::timeout(Duration::from_millis(100), messages.recv()).await;
            if matches!(message, Ok(Ok(message)) if message.channel == HOOK) {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(CONNECT, heard).await.map_err(|_| RedisError::Unreachable(late()))?
}

/// Passes messages on.
async fn hear(client: SubscriberClient, mut messages: Receiver<Message>, shards: Arc<Shards>, notifier: Arc<Notifier>) {
    let mut reconnects = client.reconnect_rx();
    loop {
        tokio::select! {
            message = messages.recv() => match message {
                Ok(message) if message.kind == MessageKind::SMessage => {
                    if let Some(id) = message.channel.split_once(EVENTS).and_then(|(_, id)| id.parse().ok()) {
                        notifier.changed(id);
                    }
                }
                Ok(_) => notifier.hooks_due(),
                // Something was missed: everybody looks.
                Err(RecvError::Lagged(_)) => notifier.missed_some(),
                Err(RecvError::Closed) => return,
            },
            reconnected = reconnects.recv() => match reconnected {
                Ok(_) | Err(RecvError::Lagged(_)) => {
                    renew(&client, &shards, &notifier).await;
                    notifier.missed_some();
                }
                Err(RecvError::Closed) => return,
            },
        }
    }
}

/// Subscribes to all that is watched, for some of it was while the connection was down, and ends what has been left over meanwhile.
async fn renew(client: &SubscriberClient, shards: &Shards, notifier: &Notifier) {
    for _ in 0..RENEWALS {
        let watched = notifier.watched();
        let tracked = client.tracked_shard_channels().into_iter();
        let ids = tracked.filter_map(|channel| channel.split_once(EVENTS)?.1.parse::<Uuid>().ok());
        let over: Vec<Uuid> = ids.filter(|id| !watched.contains(id)).collect();
        let done = async {
            subscribe_to(client, shards, &watched).await?;
            unsubscribe_from(client, shards, &over).await
        };
        match done.await {
            Ok(()) => return,
            Err(error) => tracing::warn!(%error, "changes of jobs are heard late"),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Subscribes to what is watched and ends subscriptions to what is not watched any more.
async fn follow(
    client: SubscriberClient,
    mut interests: UnboundedReceiver<Interest>,
    shards: Arc<Shards>,
    notifier: Arc<Notifier>,
) {
    let mut changes = Vec::new();
    while interests.recv_many(&mut changes, AT_ONCE).await > 0 {
        let (mut begun, mut ended) = (Vec::new(), Vec::new());
        for Interest(id) in changes.drain(..) {
            if notifier.is_watched(id) { begun.push(id) } else { ended.push(id) }
        }
        while let Err(error) = subscribe_to(&client, &shards, &begun).await {
            tracing::debug!(%error, "a change of a job may be heard late");
            tokio::time::sleep(RETRY).await;
        }
        // What changed between the caller's last look and the subscription was not heard.
        begun.into_iter().for_each(|id| notifier.changed(id));
        // Another watch may have begun meanwhile. Its interest is still to come, and subscribes again.
        if let Err(error) = unsubscribe_from(&client, &shards, &ended).await {
            tracing::debug!(%error, "a subscription is not ended");
        }
    }
}

/// Each shard is tried, also if another fails.
async fn subscribe_to(client: &SubscriberClient, shards: &Shards, ids: &[Uuid]) -> Result<(), fred::error::Error> {
    let subscribed = channels(shards, ids).map(|channels| client.ssubscribe(channels));
    join_all(subscribed).await.into_iter().collect()
}

async fn unsubscribe_from(client: &SubscriberClient, shards: &Shards, ids: &[Uuid]) -> Result<(), fred::error::Error> {
    let ended = channels(shards, ids).map(|channels| client.sunsubscribe(channels));
    join_all(ended).await.into_iter().collect()
}

/// The channels of these ids, those of one shard together: one command can only name channels of one slot.
fn channels(shards: &Shards, ids: &[Uuid]) -> impl Iterator<Item = Vec<String>> {
    let mut by_shard: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for id in ids {
        let tag = shards.of_id(*id).tag();
        by_shard.entry(tag).or_default().push(channel(tag, *id));
    }
    by_shard.into_values()
}

/// The channel of the job or batch `id`, which is in the shard with this tag.
pub fn channel(tag: &str, id: Uuid) -> String {
    format!("{tag}{EVENTS}{id}")
}
