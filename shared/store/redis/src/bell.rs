//! Waiting for work. For each skill there is a bell, a list on the server with one entry at most: a job that becomes ready puts it
//! there, and the server gives it to one of the workers that wait. So a job wakes one worker, however many there are.
//!
//! The blocking command needs a connection of its own, and it must not be dropped while it waits, because an entry that it takes then
//! would be lost. So a task waits in place of the callers, and puts an entry back that nobody wants any more.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use fred::error::ErrorKind;
use fred::interfaces::{ClientLike, ListInterface};
use futures::future::select_all;
use remaster_shared::job::Skill;
use tokio::sync::{Notify, watch};

use super::servers::Servers;
use super::shards::Shards;

/// How long the server holds the command, in seconds. It bounds how long an entry is kept from other workers after the last caller
/// of this process has left.
const HELD: f64 = 2.0;
/// How long the answer may take. After that the connection counts as broken.
const ANSWERED: Duration = Duration::from_secs(5);
/// How many shards of a cluster a process hears.
const EARS: usize = 16;
const RETRY: Duration = Duration::from_millis(500);

/// The bells, as the workers of one process hear them. The connection is made when a worker waits for the first time.
pub struct Bell {
    servers: Arc<Servers>,
    /// The tags of the shards whose bells are heard. One command can wait for those of one slot, so each group has a connection.
    groups: Vec<Vec<String>>,
    ears: OnceLock<Vec<Ear>>,
}

/// The shards whose bells a process hears, in groups that one command can wait for: on a single server all; in a cluster the one at
/// which the process looks first, and a few others, so that a ready job nearly always finds a worker that waits for it. Work in
/// the other shards is found when the worker looks again after a while.
pub fn heard(shards: &Shards, home: usize, in_cluster: bool) -> Vec<Vec<String>> {
    let tags = shards.beginning_at(home).map(|shard| shard.tag().to_owned());
    if in_cluster { tags.take(EARS).map(|tag| vec![tag]).collect() } else { vec![tags.collect()] }
}

struct Ear {
    waiting: watch::Sender<Waiting>,
    rung: Arc<Notify>,
}

/// Who waits in this process.
#[derive(Default, Clone)]
struct Waiting {
    workers: usize,
    bells: Vec<String>,
}

impl Bell {
    pub fn new(servers: Arc<Servers>, groups: Vec<Vec<String>>) -> Self {
        Self { servers, groups, ears: OnceLock::new() }
    }

    /// Returns once there may be a waiting job that needs one of `skills`, or none.
    pub async fn rung(&self, skills: &[Skill]) {
        let open = |tags: &Vec<String>| Ear::open(Arc::clone(&self.servers), tags[0].clone());
        let ears = self.ears.get_or_init(|| self.groups.iter().map(open).collect());
        let rings = ears.iter().zip(&self.groups).map(|(ear, tags)| Box::pin(ear.rings(tags, skills)));
        select_all(rings).await;
    }
}

struct Leaves<'a>(&'a watch::Sender<Waiting>);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|waiting| waiting.workers -= 1);
    }
}

impl Ear {
    /// Returns once a bell of these shards and skills has rung, or that of jobs that need none.
    async fn rings(&self, tags: &[String], skills: &[Skill]) {
        let names = || std::iter::once("").chain(skills.iter().map(Skill::as_str));
        let bells = tags.iter().flat_map(|tag| names().map(move |name| format!("{tag}:bell:{name}"))).collect();
        self.waiting.send_modify(|waiting| *waiting = Waiting { workers: waiting.workers + 1, bells });
        let _leaves = Leaves(&self.waiting);
        self.rung.notified().await;
    }

    /// Begins to listen on a task of its own, which connects by itself.
    fn open(servers: Arc<Servers>, tag: String) -> Self {
        let (waiting, seen) = watch::channel(Waiting::default());
        let rung = Arc::new(Notify::new());
        // It ends, and closes the connection, once nobody can wait any more.
        tokio::spawn(listen((servers, tag), seen, Arc::clone(&rung)));
        Self { waiting, rung }
    }
}

async fn listen((servers, tag): (Arc<Servers>, String), mut waiting: watch::Receiver<Waiting>, rung: Arc<Notify>) {
    let mut connected = None;
    loop {
        let bells = match waiting.wait_for(|waiting| waiting.workers > 0).await {
            Ok(waiting) => waiting.bells.clone(),
            Err(_) => break,
        };
        let client = match connected.take() {
            Some(client) => client,
            None => match servers.apart(&tag, ANSWERED).await {
                Ok(client) => client,
                Err(error) => {
                    tracing::debug!(%error, "bells are not heard at present");
                    tokio::time::sleep(RETRY).await;
                    continue;
                }
            },
        };
        let began = Instant::now();
        let taken = match client.blpop::<(String, String), _>(bells, HELD).await {
            Ok(entry) => Ok(Some(entry)),
            // No bell has rung: the library tells that as a time-out too.
            Err(error) if *error.kind() == ErrorKind::Timeout && began.elapsed() < ANSWERED => Ok(None),
            Err(error) => Err(error),
        };
        match taken {
            Ok(Some((bell, entry))) if waiting.borrow().workers == 0 => {
                // The worker has found other work meanwhile. An entry too many only makes somebody look in vain.
                if let Err(error) = client.rpush::<(), _, _>(bell, entry).await {
                    tracing::debug!(%error, "a bell could not be passed on");
                }
            }
            Ok(Some(_)) => rung.notify_one(),
            Ok(None) => {}
            Err(error) => {
                tracing::debug!(%error, "bells are not heard at present");
                servers.has_moved(&error).await;
                tokio::time::sleep(RETRY).await;
                // Another master may have taken over, so it connects anew.
                tokio::spawn(async move { client.quit().await });
                continue;
            }
        }
        connected = Some(client);
    }
    if let Some(client) = connected {
        let _ = client.quit().await;
    }
}
