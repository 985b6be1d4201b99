//! Connecting: URLs, time-outs and reconnection.

use std::time::Duration;

use fred::clients::{Client, SubscriberClient};
use fred::interfaces::ClientLike;
use fred::types::Builder;
use fred::types::config::{Config, ReconnectPolicy, Server, ServerConfig, UnresponsiveConfig};

use super::RedisError;

/// How long a command may take. After that it fails with an error for its caller.
const COMMAND: Duration = Duration::from_millis(1500);
pub const CONNECT: Duration = Duration::from_secs(5);
/// Waits between reconnects, doubling, in milliseconds.
const FIRST_WAIT: u32 = 50;
const LONGEST_WAIT: u32 = 1000;

const SCHEMES: [&str; 6] = ["redis", "rediss", "redis-cluster", "rediss-cluster", "redis-sentinel", "rediss-sentinel"];

fn config(url: &str) -> Result<Config, RedisError> {
    let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
    if !SCHEMES.contains(&scheme) {
        return Err(RedisError::Url(format!("{scheme:?} is no scheme of Redis")));
    }
    Config::from_url(url).map_err(|error| RedisError::Url(error.details().to_owned()))
}

fn builder(url: &str) -> Result<Builder, RedisError> {
    Ok(build(config(url)?))
}

fn build(config: Config) -> Builder {
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
    builder
}

/// A client of one master of the cluster that `url` names, with the credentials of the URL. It is not connected yet.
pub fn client_of(url: &str, (host, port): (String, u16), patience: Option<Duration>) -> Result<Client, RedisError> {
    let mut config = config(url)?;
    config.server = ServerConfig::Centralized { server: Server::new_with_tls(host.clone(), port, Some(host)) };
    let mut builder = build(config);
    if let Some(time) = patience {
        builder.with_performance_config(|performance| performance.default_command_timeout = time);
    }
    builder.build().map_err(RedisError::Unreachable)
}

/// A connected client. Reconnects by itself from then on.
pub async fn client(url: &str) -> Result<Client, RedisError> {
    let client = builder(url)?.build().map_err(RedisError::Unreachable)?;
    connected(&client).await?;
    Ok(client)
}

/// Connects the client, or else closes it: it would try for ever.
pub async fn connected(client: &impl ClientLike) -> Result<(), RedisError> {
    let error = match tokio::time::timeout(CONNECT, client.init()).await {
        Ok(Ok(_)) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => late(),
    };
    let _ = tokio::time::timeout(COMMAND, client.quit()).await;
    Err(RedisError::Unreachable(error))
}

/// A connected client whose commands may wait for their answers for up to `time`.
pub async fn patient_client(url: &str, time: Duration) -> Result<Client, RedisError> {
    let mut builder = builder(url)?;
    builder.with_performance_config(|performance| performance.default_command_timeout = time);
    let client = builder.build().map_err(RedisError::Unreachable)?;
    connected(&client).await?;
    Ok(client)
}

/// A client for subscriptions that is not connected yet.
pub fn subscriber(url: &str) -> Result<SubscriberClient, RedisError> {
    builder(url)?.build_subscriber_client().map_err(RedisError::Unreachable)
}

pub fn late() -> fred::error::Error {
    fred::error::Error::new(fred::error::ErrorKind::Timeout, "no answer")
}
