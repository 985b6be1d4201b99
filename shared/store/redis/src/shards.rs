//! Where things lie when the store is spread over shards. Everything of a client (its jobs, their order, its quota, its keys and its
//! webhooks) is in one shard, so that each verb is still one step on one server. A shard is a hash tag; a cluster has the tags on its
//! masters, and a single server has them all.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use fred::clients::Client;
use fred::interfaces::KeysInterface;
use fred::types::SetOptions;
use fred::util::redis_keyslot;
use remaster_shared::client::ClientKey;
use remaster_shared::ids;
use uuid::Uuid;

use super::RedisError;

/// The tag of what there is once, however many shards there are, and of the only shard where there is one.
pub const COMMON: &str = "{rm}";
/// The largest number of shards.
pub const MOST: u16 = 256;
const SHARDS: &str = "{rm}:shards";
/// There as soon as a job was submitted to a store of one shard.
const SEQ: &str = "{rm}:seq";
/// The slots of a cluster.
const SLOTS: u32 = 16_384;
/// How long claims leave a shard alone whose server did not answer.
const REST: Duration = Duration::from_secs(3);

/// The shards of a store.
pub struct Shards {
    shards: Vec<Shard>,
}

/// One shard.
pub struct Shard {
    tag: String,
    rests_until: Mutex<Option<Instant>>,
}

impl Shard {
    /// The hash tag that all its keys begin with.
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Its server did not answer.
    pub fn rest(&self) {
        *self.rests_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
    }

    /// Whether its server did not answer a moment ago.
    pub fn rests(&self) -> bool {
        self.rests_until.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|until| until > Instant::now())
    }
}

impl Shards {
    /// So many shards, evenly spread over the slots of a cluster.
    pub fn new(count: u16) -> Self {
        let tags = (0..count).map(|number| if count == 1 { COMMON.to_owned() } else { tag(number, count) });
        Self { shards: tags.map(|tag| Shard { tag, rests_until: Mutex::new(None) }).collect() }
    }

    /// All of them, at least one.
    pub fn all(&self) -> &[Shard] {
        &self.shards
    }

    /// All of them, beginning at `home`. Each process has another one, so that all are served.
    pub fn beginning_at(&self, home: usize) -> impl Iterator<Item = &Shard> {
        self.shards[home..].iter().chain(&self.shards[..home])
    }

    /// The shard of a client.
    pub fn of_client(&self, client: ClientKey) -> &Shard {
        self.of(client.shard())
    }

    /// The shard of what has this id: a job or a batch.
    pub fn of_id(&self, id: Uuid) -> &Shard {
        self.of(ids::shard(id))
    }

    fn of(&self, number: u16) -> &Shard {
        &self.shards[usize::from(number) * self.shards.len() / (usize::from(u16::MAX) + 1)]
    }
}

/// A tag whose slot lies in this part of all slots.
fn tag(number: u16, count: u16) -> String {
    let part = |slot: u16| u32::from(slot) * u32::from(count) / SLOTS;
    let tags = (0_u32..).map(|attempt| format!("{{rm:{number}.{attempt}}}"));
    tags.into_iter().find(|tag| part(redis_keyslot(tag.as_bytes())) == u32::from(number)).unwrap_or_default()
}

/// Makes sure that this Redis holds a store of so many shards: whoever comes first decides.
///
/// # Errors
/// It has another number of shards, or does not answer.
pub async fn agree(client: &Client, asked: u16) -> Result<(), RedisError> {
    let kept = async {
        // A store of an older release has one.
        let first = if client.exists::<bool, _>(SEQ).await? { 1 } else { asked };
        client.set::<(), _, _>(SHARDS, first, None, Some(SetOptions::NX), false).await?;
        client.get::<u16, _>(SHARDS).await
    };
    match kept.await.map_err(RedisError::Unreachable)? {
        kept if kept == asked => Ok(()),
        kept => Err(RedisError::Shards { asked, kept }),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use remaster_shared::job::{BatchId, JobId};

    use super::*;

    #[test]
    fn a_client_and_its_ids_are_in_one_shard_and_clients_are_spread() {
        let shards = Shards::new(12);
        let mut clients = HashMap::new();
        for number in 0..6000_u32 {
            let mut key = [7; 16];
            key[..4].copy_from_slice(&number.wrapping_mul(2_654_435_761).to_be_bytes());
            let client = ClientKey(key);
            let tag = shards.of_client(client).tag();
            assert_eq!(shards.of_id(JobId::of(client).0).tag(), tag);
            assert_eq!(shards.of_id(BatchId::of(client).0).tag(), tag);
            *clients.entry(tag.to_owned()).or_insert(0) += 1;
        }
        assert!(clients.len() == 12 && clients.values().all(|clients| (450..550).contains(clients)), "{clients:?}");
    }

    #[test]
    fn the_masters_of_a_cluster_have_the_same_number_of_shards() {
        for (count, masters) in [(12, 3), (6, 3), (16, 4), (256, 4)] {
            let mut of_master = vec![0; masters];
            for shard in Shards::new(count).all() {
                let slot = usize::from(redis_keyslot(shard.tag().as_bytes()));
                of_master[slot * masters / SLOTS as usize] += 1;
            }
            assert_eq!(of_master, vec![usize::from(count) / masters; masters]);
        }
        assert_eq!(Shards::new(1).all()[0].tag(), COMMON);
    }
}
