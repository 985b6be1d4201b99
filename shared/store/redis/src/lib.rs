//! The shared store: Redis (7 or newer) or Valkey, for many API nodes and many workers.
//!
//! Each verb that changes anything is one function of the library in `migrations/redis/`, and so one atomic step on the
//! server, by the server's clock. Workers are woken by lists, and changes come by pub/sub; a waiting caller also polls, so a lost message only
//! delays it.

#![warn(missing_docs)]

mod bell;
mod choosing;
mod connect;
mod event_lag;
#[cfg(test)]
mod eviction_tests;
#[cfg(test)]
mod field_tests;
mod housekeeping;
mod jobs;
mod library;
mod operations;
mod outbox;
#[cfg(test)]
mod release_test;
mod server;
mod servers;
#[cfg(test)]
mod shard_tests;
mod shards;
mod submissions;
mod subscriptions;
#[cfg(test)]
mod tests;
mod wire;
mod work_queue;
mod worker_registry;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use fred::clients::Client;
use fred::interfaces::{ClientLike, FunctionInterface, KeysInterface};
use fred::types::{CustomCommand, FromValue, SetOptions};
use remaster_shared::client::ClientHasher;
use remaster_shared::clock::SharedClock;
use remaster_shared::metrics::Metrics;
use remaster_store::{Policy, StoreError, notifier::Notifier};
use serde::de::DeserializeOwned;

use bell::Bell;
use event_lag::EventLag;
use servers::Servers;
use shards::{COMMON, MOST, Shards};
use subscriptions::Subscriptions;

const SECRET: &str = "{rm}:secret";

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum RedisError {
    /// The setting is not an address of Redis.
    #[error(
        "REDIS_URL cannot be understood ({0}); it takes redis://host:6379, rediss://, redis-cluster:// or redis-sentinel://"
    )]
    Url(String),
    /// No connection, or no answer in time.
    #[error("Redis does not answer: {0}")]
    Unreachable(#[source] fred::error::Error),
    /// The server does not take the library.
    #[error("the functions library cannot be loaded; Redis 7 or newer is needed: {0}")]
    Library(#[source] fred::error::Error),
    /// A newer release has been here.
    #[error(
        "this Redis is used by a newer remaster (functions library {found}, this one has {known}); update this one"
    )]
    Newer {
        /// The version on the server.
        found: u32,
        /// The version of this binary.
        known: u32,
    },
    /// The data are spread in another way.
    #[error(
        "this Redis holds a job store of {kept} shards, and REDIS_SHARDS is {asked}; all nodes need the same number, which stays as it was at first"
    )]
    Shards {
        /// What the setting asks for.
        asked: u16,
        /// What is there.
        kept: u16,
    },
    /// No store can have so many shards.
    #[error("a job store has between 1 and {MOST} shards")]
    TooManyShards,
    /// The value at the key of the secret does not have 32 bytes.
    #[error("the secret in Redis cannot be read")]
    Secret,
}

/// The store. Clients reconnect by themselves; a verb that is not answered in time fails.
pub struct RedisStore {
    url: String,
    servers: Arc<Servers>,
    shards: Arc<Shards>,
    /// The shard at which this process looks for work first.
    home: usize,
    /// How many claims this process has made.
    claims: AtomicU64,
    /// Claims of several shards whose answers were lost.
    unanswered: Mutex<Vec<choosing::Unanswered>>,
    /// How many jobs waited in each shard, and when that was.
    lengths: Mutex<Option<submissions::Lengths>>,
    /// Held by the submit that looks how many they are now.
    looking: tokio::sync::Mutex<()>,
    /// Feeds the notifier.
    _subscriptions: Subscriptions,
    notifier: Arc<Notifier>,
    bell: Bell,
    hasher: ClientHasher,
    policy: Policy,
    /// Where replicas have to confirm a submit before it is acknowledged: how many, and the connections for it, which stand still until
    /// they have.
    confirming: Option<(u32, Arc<Servers>)>,
    metrics: Arc<Metrics>,
    _event_lag: Option<EventLag>,
    /// The clock of a test; without it the library uses the server's clock.
    clock: Option<SharedClock>,
}

impl RedisStore {
    /// Connects to what `REDIS_URL` names and makes sure of the functions library.
    ///
    /// # Errors
    /// The address cannot be understood, the server does not answer, or its library is newer.
    pub async fn open(url: &str, policy: Policy) -> Result<Self, RedisError> {
        Self::with_clock(url, policy, 1, None).await
    }

    /// The same for a store that is spread over so many shards. The number is recorded in Redis, and cannot be changed.
    ///
    /// # Errors
    /// As for [`RedisStore::open`], and where the store has another number of shards.
    pub async fn open_sharded(url: &str, policy: Policy, shards: u16) -> Result<Self, RedisError> {
        Self::with_clock(url, policy, shards, None).await
    }

    /// The same, where a submit is acknowledged only once this many replicas have confirmed it. A failover to one of them then loses
    /// no job that a caller was told of.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn confirmed_by(self, replicas: u32) -> Result<Self, RedisError> {
        if replicas == 0 {
            return Ok(self);
        }
        let sharded = self.shards.all().len() > 1;
        let servers = Servers::connect(&self.url, Some(server::CONFIRMED * 5), sharded).await?;
        Ok(Self { confirming: Some((replicas, servers)), ..self })
    }

    async fn with_clock(
        url: &str,
        policy: Policy,
        shards: u16,
        clock: Option<SharedClock>,
    ) -> Result<Self, RedisError> {
        if !(1..=MOST).contains(&shards) {
            return Err(RedisError::TooManyShards);
        }
        let servers = Servers::connect(url, None, shards > 1).await?;
        let client = servers.any();
        library::ensure(client, COMMON).await?;
        shards::agree(client, shards).await?;
        let shards = Arc::new(Shards::new(shards));
        let home = rand::random_range(0..shards.all().len());
        for warning in server::warnings(client).await {
            tracing::warn!("{warning} (see docs/operations.md)");
        }
        let hasher = ClientHasher::new(secret(client).await?);
        let (notifier, interests) = Notifier::with_interests();
        let notifier = Arc::new(notifier);
        let subscribed = (Arc::clone(&notifier), interests);
        let subscriptions = subscriptions::subscribe(url, client, Arc::clone(&shards), subscribed).await?;
        let bell = Bell::new(Arc::clone(&servers), bell::heard(&shards, home, client.is_clustered()));
        Ok(Self {
            servers,
            shards,
            home,
            claims: AtomicU64::new(0),
            unanswered: Mutex::default(),
            lengths: Mutex::default(),
            looking: tokio::sync::Mutex::default(),
            _subscriptions: subscriptions,
            notifier,
            bell,
            hasher,
            policy,
            url: url.to_owned(),
            confirming: None,
            metrics: Arc::default(),
            _event_lag: None,
            clock,
        })
    }

    /// The same, where the time of each call, and how late changes are heard, is counted in `metrics`.
    pub fn measured_by(self, metrics: Arc<Metrics>) -> Self {
        let lag = EventLag::measured(
            Arc::clone(&self.servers),
            Arc::clone(&self.shards),
            Arc::clone(&self.notifier),
            Arc::clone(&metrics),
        );
        Self { metrics, _event_lag: Some(lag), ..self }
    }

    /// The time as the functions' first argument: empty for the server's own.
    fn time(&self) -> String {
        self.clock.as_ref().map(|clock| clock.now().as_millisecond().to_string()).unwrap_or_default()
    }

    /// Calls a function of the library for the shard with this tag.
    async fn call<T: DeserializeOwned>(
        &self,
        tag: &str,
        function: &'static str,
        args: Vec<String>,
    ) -> Result<T, StoreError> {
        self.call_on(&self.servers, tag, function, args).await.map(|(reply, _)| reply)
    }

    /// The same for every shard, also if another fails, with what came of each in the order of the shards.
    async fn call_each<T: DeserializeOwned>(
        &self,
        function: &'static str,
        args: Vec<String>,
    ) -> Vec<Result<T, StoreError>> {
        let calls = self.shards.all().iter().map(|shard| self.call(shard.tag(), function, args.clone()));
        futures::future::join_all(calls).await
    }

    /// The same, where all have to answer.
    async fn call_all<T: DeserializeOwned>(
        &self,
        function: &'static str,
        args: Vec<String>,
    ) -> Result<Vec<T>, StoreError> {
        self.call_each(function, args).await.into_iter().collect()
    }

    /// The same, without the answers of shards whose servers are down.
    ///
    /// # Errors
    /// No shard answers.
    async fn call_those_up<T: DeserializeOwned>(
        &self,
        function: &'static str,
        args: Vec<String>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut replies, mut failed) = (Vec::new(), None);
        for reply in self.call_each(function, args).await {
            match reply {
                Ok(reply) => replies.push(reply),
                Err(error) => failed = Some(error),
            }
        }
        match failed {
            Some(error) if replies.is_empty() => Err(error),
            Some(error) => {
                tracing::warn!(%error, function, "a shard does not answer, and is left out");
                Ok(replies)
            }
            None => Ok(replies),
        }
    }

    /// A command of Redis itself, on the server that holds `tag`. It can be carried out twice.
    async fn plain<T: FromValue>(&self, tag: &str, command: &'static str, args: Vec<String>) -> Result<T, StoreError> {
        let plain = CustomCommand::new_static(command, tag, false);
        let mut answer = self.servers.of(tag).custom(plain.clone(), args.clone()).await;
        if let Err(error) = &answer
            && self.servers.has_moved(error).await
        {
            answer = self.servers.of(tag).custom(plain, args).await;
        }
        answer.map_err(StoreError::caused_by)
    }

    /// The answer, and the client that gave it.
    async fn call_on<T: DeserializeOwned>(
        &self,
        servers: &Arc<Servers>,
        tag: &str,
        function: &'static str,
        args: Vec<String>,
    ) -> Result<(T, Client), StoreError> {
        let timer = self.metrics.store_call(verb(function));
        let mut client = servers.of(tag);
        let mut answer: Result<String, _> = client.fcall(function, tag, args.clone()).await;
        if let Err(error) = &answer
            && servers.has_moved(error).await
        {
            client = servers.of(tag);
            answer = client.fcall(function, tag, args.clone()).await;
        }
        if answer.as_ref().is_err_and(library::is_missing) {
            library::ensure(&client, tag).await.map_err(StoreError::caused_by)?;
            answer = client.fcall(function, tag, args).await;
        }
        let text = match answer {
            Ok(text) => text,
            Err(error) => {
                timer.failed();
                return Err(StoreError::caused_by(error));
            }
        };
        timer.answered();
        let reply = serde_json::from_str(&text);
        let reply = reply.map_err(|error| StoreError::new(format!("the answer of {function}: {error}")))?;
        Ok((reply, client))
    }
}

/// The verb of the store that a function carries out: its name without the version, and one name for the ways to finish.
fn verb(function: &'static str) -> &'static str {
    let name = function.trim_start_matches("rm_");
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_');
    match name {
        "succeed" | "failed" | "deferred" => "finish",
        name => name,
    }
}

/// The secret that all nodes share: whoever comes first makes it.
async fn secret(client: &Client) -> Result<[u8; 32], RedisError> {
    let candidate: [u8; 32] = rand::random();
    let set = client.set::<(), _, _>(SECRET, candidate.as_slice(), None, Some(SetOptions::NX), false);
    set.await.map_err(RedisError::Unreachable)?;
    let kept: Vec<u8> = client.get(SECRET).await.map_err(RedisError::Unreachable)?;
    kept.try_into().map_err(|_| RedisError::Secret)
}
