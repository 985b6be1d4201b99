//! Connecting: URLs, time-outs, reconnection, and the subscription that feeds the notifier.

use std::{sync::Arc, time::Duration};

use fred::clients::{Client, SubscriberClient};
use fred::interfaces::{ClientLike, EventInterface, PubsubInterface};
use fred::types::config::{Config, ReconnectPolicy, UnresponsiveConfig};
use fred::types::{Builder, Message};
use remaster_store::notifier::Notifier;
use tokio::sync::broadcast::{Receiver, error::RecvError};

use super::RedisError;

/// How long a command may take. After that it fails with an error for its caller.
const COMMAND: Duration = Duration::from_millis(1500);
const CONNECT: Duration = Duration::from_secs(5);
/// Waits between reconnects, doubling, in milliseconds.
const FIRST_WAIT: u32 = 50;
const LONGEST_WAIT: u32 = 1000;

const SCHEMES: [&str; 6] = ["redis", "rediss", "redis-cluster", "rediss-cluster", "redis-sentinel", "rediss-sentinel"];

const EVENTS: &str = "{rm}:ev";
const WAKE: &str = "{rm}:wake";
const HOOK: &str = "{rm}:hook";

fn builder(url: &str) -> Result<Builder, RedisError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if !SCHEMES.contains(&scheme) {
        return Err(RedisError::Url(format!("{scheme:?} is no scheme of Redis")));
    }
    let config = Config::from_url(url).map_err(|error| RedisError::Url(error.details().to_owned()))?;
    let mut builder = Builder::from_config(config);
    builder
        .with_performance_config(|performance| performance.default_command_timeout = COMMAND)
        .with_connection_config(|connection| {
            connection.connection_timeout = CONNECT;
            connection.internal_command_timeout = CONNECT;
            // A verb may have been carried out though its answer was lost: whether to try again is the caller's choice.
            connection.max_command_attempts = 1;
            connection.unresponsive =
                UnresponsiveConfig { max_timeout: Some(Duration::from_secs(5)), interval: Duration::from_secs(1) };
        })
        .set_policy(ReconnectPolicy::new_exponential(0, FIRST_WAIT, LONGEST_WAIT, 2));
    Ok(builder)
}

/// A connected client. Reconnects by itself from then on.
pub async fn client(url: &str) -> Result<Client, RedisError> {
    let client = builder(url)?.build().map_err(RedisError::Unreachable)?;
    connected(&client).await?;
    Ok(client)
}

async fn connected(client: &impl ClientLike) -> Result<(), RedisError> {
    let connecting = tokio::time::timeout(CONNECT, client.init()).await;
    connecting.map_err(|_| RedisError::Unreachable(late()))?.map_err(RedisError::Unreachable)?;
    Ok(())
}

/// Publishes on `channel` until a message comes back.
async fn arrives(publisher: &Client, channel: &str, messages: &mut Receiver<Message>) -> Result<(), RedisError> {
    let heard = async {
        loop {
            publisher.publish::<(), _, _>(channel, "hello").await.map_err(RedisError::Unreachable)?;
            let message = tokio::time::timeout(Duration::from_millis(100), messages.recv()).await;
            if matches!(message, Ok(Ok(message)) if message.channel == channel) {
                return Ok(());
            }
        }
    };
    tokio::time::timeout(CONNECT, heard).await.map_err(|_| RedisError::Unreachable(late()))?
}

fn late() -> fred::error::Error {
    fred::error::Error::new(fred::error::ErrorKind::Timeout, "no answer")
}

/// Subscribes to the store's channels; what comes is passed to `notifier` for as long as the subscriber lives.
///
/// Returns only when a message from `publisher` has arrived on each channel, because the client may report the subscription
/// before it is active.
pub async fn subscribe(url: &str, publisher: &Client, notifier: Arc<Notifier>) -> Result<SubscriberClient, RedisError> {
    let client = builder(url)?.build_subscriber_client().map_err(RedisError::Unreachable)?;
    let mut messages = client.message_rx();
    let mut reconnects = client.reconnect_rx();
    connected(&client).await?;
    client.manage_subscriptions();
    client.subscribe(vec![EVENTS, WAKE, HOOK]).await.map_err(RedisError::Unreachable)?;
    for channel in [EVENTS, WAKE, HOOK] {
        arrives(publisher, channel, &mut messages).await?;
    }
    tokio::spawn(async move {
        loop {
            tokio::select! {
                message = messages.recv() => match message {
                    Ok(message) if message.channel == WAKE => notifier.work_available(),
                    Ok(message) if message.channel == HOOK => notifier.hooks_due(),
                    Ok(message) => {
                        if let Some(job) = message.value.as_str().and_then(|id| id.parse().ok()) {
                            notifier.changed(job);
                        }
                    }
                    // Something was missed: everybody looks.
                    Err(RecvError::Lagged(_)) => notifier.missed_some(),
                    Err(RecvError::Closed) => return,
                },
                reconnected = reconnects.recv() => match reconnected {
                    Ok(_) | Err(RecvError::Lagged(_)) => notifier.missed_some(),
                    Err(RecvError::Closed) => return,
                },
            }
        }
    });
    Ok(client)
}
