//! The servers that hold the data: one, or the masters of a cluster.
//!
//! A client of the library for a whole cluster serves nobody while one master is down. So where a store has several shards, each master has a
//! client of its own here, and whoever needs another master does not notice. All masters are asked which of them has which slots
//! when one of them refuses a slot or does not answer. A store of one shard is on one master anyway, and leaves this to the library.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::CustomCommand;
use fred::util::redis_keyslot;
use futures::future::select_ok;

use super::shards::COMMON;
use super::{RedisError, connect};

/// How long a master may take to say which masters there are.
const ASKED: Duration = Duration::from_millis(500);
/// How soon the masters are asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// Connections to all of them.
pub struct Servers {
    url: String,
    /// How long commands may wait for their answers.
    patience: Option<Duration>,
    /// The only server, or any of a cluster.
    entry: Client,
    /// Only where several shards are in a cluster.
    masters: Option<Mutex<Masters>>,
    /// Held while the masters are asked.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Masters {
    slots: Vec<(RangeInclusive<u16>, Address)>,
    clients: HashMap<Address, Client>,
    asked: Option<Instant>,
}

type Address = (String, u16);

impl Masters {
    /// Where the slot of this hash tag is.
    fn address(&self, tag: &str) -> Option<Address> {
        let slot = redis_keyslot(tag.as_bytes());
        self.slots.iter().find(|(slots, _)| slots.contains(&slot)).map(|(_, address)| address.clone())
    }
}

impl Servers {
    /// Connects to what `url` names. `sharded` tells whether there are several shards.
    ///
    /// # Errors
    /// It cannot be understood, or nobody answers.
    pub async fn connect(url: &str, patience: Option<Duration>, sharded: bool) -> Result<Arc<Self>, RedisError> {
        let entry = match patience {
            Some(time) => connect::patient_client(url, time).await?,
            None => connect::client(url).await?,
        };
        let masters = (sharded && entry.is_clustered()).then(Mutex::default);
        let servers = Self { url: url.to_owned(), patience, entry, masters, asking: tokio::sync::Mutex::default() };
        if servers.masters.is_some() {
            servers.learn(&nodes(&servers.entry).await.map_err(RedisError::Unreachable)?);
        }
        Ok(Arc::new(servers))
    }

    /// A client of the only server, or of any of a cluster.
    pub fn any(&self) -> &Client {
        &self.entry
    }

    /// A client of the server that holds what has this hash tag.
    pub fn of(&self, tag: &str) -> Client {
        let Some(masters) = &self.masters else { return self.entry.clone() };
        let masters = masters.lock().unwrap_or_else(PoisonError::into_inner);
        let client = masters.address(tag).and_then(|address| masters.clients.get(&address));
        client.unwrap_or(&self.entry).clone()
    }

    /// A client of that server for its caller alone, whose commands may wait for their answers for up to `time`.
    ///
    /// # Errors
    /// The server does not answer.
    pub async fn apart(&self, tag: &str, time: Duration) -> Result<Client, RedisError> {
        let address = self
            .masters
            .as_ref()
            .and_then(|masters| masters.lock().unwrap_or_else(PoisonError::into_inner).address(tag));
        let Some(address) = address else { return connect::patient_client(&self.url, time).await };
        let client = connect::client_of(&self.url, address, Some(time))?;
        connect::connected(&client).await?;
        Ok(client)
    }

    /// A command failed. True if another master has to be asked instead; if a master does not answer, the others are asked what became
    /// of it.
    pub async fn has_moved(self: &Arc<Self>, error: &Error) -> bool {
        if self.masters.is_none() {
            return false;
        }
        if error.details().starts_with("MOVED") {
            self.ask().await;
            return true;
        }
        if matches!(error.kind(), ErrorKind::Timeout | ErrorKind::IO | ErrorKind::Cluster | ErrorKind::Canceled)
            || error.details().starts_with("CLUSTERDOWN")
        {
            self.suspect();
        }
        false
    }

    /// A master has not answered: the others are asked what became of it, which nobody waits for.
    pub fn suspect(self: &Arc<Self>) {
        if self.masters.is_some() {
            let servers = Arc::clone(self);
            tokio::spawn(async move { servers.ask().await });
        }
    }

    /// Asks which masters there are. Whoever comes while that is being asked waits for the answer.
    async fn ask(&self) {
        let Some(masters) = &self.masters else { return };
        let _asking = self.asking.lock().await;
        let clients: Vec<Client> = {
            let masters = masters.lock().unwrap_or_else(PoisonError::into_inner);
            if masters.asked.is_some_and(|asked| asked.elapsed() < AGAIN) {
                return;
            }
            masters.clients.values().cloned().collect()
        };
        let asks = clients.into_iter().map(|client| {
            Box::pin(async move {
                let answer = tokio::time::timeout(ASKED, nodes(&client)).await;
                answer.unwrap_or_else(|_| Err(connect::late()))
            })
        });
        let asks: Vec<_> = asks.collect();
        if asks.is_empty() {
            return;
        }
        match select_ok(asks).await {
            Ok((nodes, _)) => self.learn(&nodes),
            Err(error) => tracing::debug!(%error, "no master of the cluster answers"),
        }
        masters.lock().unwrap_or_else(PoisonError::into_inner).asked = Some(Instant::now());
    }

    /// Takes the masters from the text of CLUSTER NODES. A slot whose master has failed keeps its master until there is another.
    fn learn(&self, nodes: &str) {
        let Some(masters) = &self.masters else { return };
        let mut masters = masters.lock().unwrap_or_else(PoisonError::into_inner);
        let learned = slots(nodes);
        let covered = |slot: u16| learned.iter().any(|(slots, _)| slots.contains(&slot));
        let kept: Vec<_> = masters.slots.drain(..).filter(|(slots, _)| !slots.clone().all(covered)).collect();
        // The first that has a slot counts.
        masters.slots = learned.into_iter().chain(kept).collect();
        let Masters { slots, clients, .. } = &mut *masters;
        for (_, address) in slots.iter() {
            if !clients.contains_key(address)
                && let Ok(client) = connect::client_of(&self.url, address.clone(), self.patience)
            {
                // Commands wait until it has connected, for as long as they may take.
                client.connect();
                clients.insert(address.clone(), client);
            }
        }
        for (_, gone) in clients.extract_if(|address, _| !slots.iter().any(|(_, at)| at == address)) {
            tokio::spawn(async move { gone.quit().await });
        }
    }
}

async fn nodes(client: &Client) -> Result<String, Error> {
    client.custom(CustomCommand::new_static("CLUSTER", COMMON, false), vec!["NODES"]).await
}

/// The slots of each master that has not failed. A line is: id, address, flags, master, three times, state, slots.
fn slots(nodes: &str) -> Vec<(RangeInclusive<u16>, Address)> {
    let mut found = Vec::new();
    for line in nodes.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, address, flags, _, _, _, _, _, slots @ ..] = &words[..] else { continue };
        let flags: Vec<&str> = flags.split(',').collect();
        if !flags.contains(&"master") || flags.contains(&"fail") {
            continue;
        }
        let Some(address) = parse_address(address) else { continue };
        for slots in slots {
            let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
            // Slots that are just being moved stand in brackets, and belong to the master for now anyway.
            if let (Ok(first), Ok(last)) = (first.parse(), last.parse()) {
                found.push((first..=last, address.clone()));
            }
        }
    }
    found
}

/// `ip:port@bus,hostname`, of which the name, if there is one, is what certificates are made for.
fn parse_address(text: &str) -> Option<Address> {
    let (address, rest) = text.split_once('@').unwrap_or((text, ""));
    let (ip, port) = address.rsplit_once(':').filter(|(ip, _)| !ip.is_empty())?;
    let name = rest.split(',').nth(1).filter(|name| !name.is_empty()).unwrap_or(ip);
    Some((name.to_owned(), port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masters_are_read_from_what_a_cluster_says() {
        let nodes = "\
            a1 127.0.0.1:7001@17001,node-1 myself,master - 0 1 1 connected 0-5460 16000\n\
            a2 10.0.0.2:7002@17002 master,fail - 1 2 2 disconnected 5461-10922\n\
            a3 10.0.0.3:7003@17003 slave a2 0 3 2 connected\n\
            a4 10.0.0.4:7004@17004, master - 0 4 4 connected 10923-15999 [7-<-a1]\n";
        let (first, last) = (("node-1".to_owned(), 7001), ("10.0.0.4".to_owned(), 7004));
        assert_eq!(slots(nodes), [(0..=5460, first.clone()), (16_000..=16_000, first), (10_923..=15_999, last)]);
        assert_eq!(parse_address("fe80::1:7000@17000"), Some(("fe80::1".into(), 7000)));
        // A node that does not know its own address yet.
        assert_eq!(parse_address(":7000@17000"), None);
    }
}
