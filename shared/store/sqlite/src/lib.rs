//! The embedded store: one SQLite database in the data folder, one process.
//!
//! Writes go through one thread with group commit (`writer`); reads use connections of their own, so a poll never
//! waits for a commit.

#![warn(missing_docs)]

mod apply;
mod backup;
mod batch;
mod cancel;
mod claim;
mod garbage;
mod hooks;
mod idempotency;
mod lease;
mod line;
mod open;
mod operations;
mod quota;
mod reap;
mod recipes;
#[cfg(test)]
mod release_test;
mod rows;
mod settle;
mod submit;
#[cfg(test)]
mod tests;
mod totals;
mod write;
mod writer;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use remaster_shared::blob_key::{BlobKey, OutputName};
use remaster_shared::client::{ClientHasher, ClientKey};
use remaster_shared::clock::SharedClock;
use remaster_shared::fleet::{Announcement, WorkerSeen};
use remaster_shared::idempotency::IdempotencyKey;
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord, Skill, Status};
use remaster_shared::metrics::Metrics;
use remaster_shared::quota::{Quota, UtcDay};
use remaster_shared::recipe::Recipe;
use remaster_shared::stats::{QueueGauges, Stats};
use remaster_shared::webhook::Attempted;
use remaster_store::{
    Beat, CancelError, Claim, ClaimRequest, DueHooks, HookRoom, Housekeeping, JobList, Jobs, Lease, LeaseError,
    NewJobs, Operations, Outbox, Outcome, Policy, Reaped, RequeueError, StoreError, Submissions, SubmitError,
    Submitted, Watch, WorkQueue, WorkerRegistry, notifier::Notifier,
};
use rusqlite::Connection;
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use backup::{BackupError, back_up};
pub use open::OpenError;
use write::{LastCall, News, Write, Written};
use writer::Writer;

/// The database within the data folder.
const DATABASE: &str = "remaster.sqlite";
/// Connections for reading.
const READERS: usize = 4;

/// The store.
pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Mutex<Vec<Connection>>>,
    reading: Arc<Semaphore>,
    notifier: Arc<Notifier>,
    hasher: ClientHasher,
    policy: Arc<Policy>,
    clock: SharedClock,
    metrics: Arc<Metrics>,
    /// This process's workers.
    workers: Mutex<BTreeMap<String, WorkerSeen>>,
    /// Keeps other processes out of the folder. Last, so that it outlives the connections.
    _lock: File,
}

impl SqliteStore {
    /// Opens (or makes) the database in `folder`, alone: a second process is refused.
    pub fn open(folder: &Path, policy: Policy, clock: SharedClock) -> Result<Self, OpenError> {
        let lock = open::lock(folder)?;
        let path = folder.join(DATABASE);
        open::keep_private(&path)?;
        let database = |error| OpenError::Database(path.clone(), error);
        let mut connection = open::connect(&path).map_err(database)?;
        open::migrate(&mut connection, &path)?;
        open::end_leases(&connection).map_err(database)?;
        let secret = connection.query_row("SELECT secret FROM service", [], |row| row.get(0)).map_err(database)?;
        let readers =
            (0..READERS).map(|_| open::connect(&path)).collect::<rusqlite::Result<Vec<_>>>().map_err(database)?;
        let notifier = Arc::new(Notifier::default());
        let writer = Writer::start(connection, Arc::clone(&notifier))
            .map_err(|error| OpenError::Folder(folder.to_owned(), error))?;
        Ok(Self {
            writer,
            readers: Arc::new(Mutex::new(readers)),
            reading: Arc::new(Semaphore::new(READERS)),
            notifier,
            hasher: ClientHasher::new(secret),
            policy: Arc::new(policy),
            clock,
            metrics: Arc::default(),
            workers: Mutex::default(),
            _lock: lock,
        })
    }

    /// The same, where the time of each call is counted in `metrics`.
    pub fn measured_by(self, metrics: Arc<Metrics>) -> Self {
        Self { metrics, ..self }
    }

    async fn read<T: Send + 'static>(
        &self,
        verb: &'static str,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::new("the reader was interrupted");
        let timer = self.metrics.store_call(verb);
        let permit = Arc::clone(&self.reading).acquire_owned().await.map_err(|_| gone())?;
        let readers = Arc::clone(&self.readers);
        let done = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let pool = || readers.lock().unwrap_or_else(PoisonError::into_inner);
            let reader = pool().pop().ok_or_else(gone)?;
            let reader = Reader { connection: Some(reader), pool: &readers };
            let result = reader.connection.as_ref().map_or(Err(rusqlite::Error::InvalidQuery), read);
            drop(reader);
            result.map_err(StoreError::caused_by)
        })
        .await
        .map_err(|_| gone())
        .flatten();
        if done.is_ok() {
            timer.answered()
        } else {
            timer.failed()
        }
        done
    }

    async fn write<T, E>(
        &self,
        name: &'static str,
        verb: impl FnOnce(&mut Write<'_>) -> Written<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (policy, now) = (Arc::clone(&self.policy), self.now());
        let write = move |db: &Connection, last_call: &mut LastCall, news: &mut News| {
            verb(&mut Write { db, policy: &policy, now, last_call, news })
        };
        let timer = self.metrics.store_call(name);
        let written = self.writer.write(write).await;
        // Also a refusal is an answer of the store.
        timer.answered();
        written
    }
}

/// A connection that goes back to the others, also after a panic.
struct Reader<'a> {
    connection: Option<Connection>,
    pool: &'a Mutex<Vec<Connection>>,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        self.pool.lock().unwrap_or_else(PoisonError::into_inner).extend(self.connection.take());
    }
}

#[async_trait]
impl Jobs for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn hasher(&self) -> &ClientHasher {
        &self.hasher
    }

    async fn get(&self, job: JobId) -> Result<Option<JobRecord>, StoreError> {
        self.read("get", move |db| {
            let Some(mut row) = rows::job(db, job)? else { return Ok(None) };
            if row.record.status == Status::Queued {
                row.record.position = Some(line::position(db, row.record.client, row.seq)?);
            }
            row.record.webhook = hooks::delivery(db, job.0)?;
            Ok(Some(row.record))
        })
        .await
    }

    async fn batch(&self, batch: BatchId) -> Result<Option<BatchRecord>, StoreError> {
        self.read("batch", move |db| batch::read(db, batch)).await
    }

    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError> {
        let (limit, now) = (self.policy.daily_limit, self.now());
        self.read("quota", move |db| Ok(Quota::new(quota::used(db, client, UtcDay::of(now))?, limit, now))).await
    }

    async fn stats(&self) -> Result<Stats, StoreError> {
        let day = UtcDay::of(self.now());
        self.read("stats", move |db| {
            let (clients_today, requests_today) = quota::of_day(db, day)?;
            let (queued, processing) = (totals::count(db, Status::Queued)?, totals::count(db, Status::Processing)?);
            Ok(Stats { clients_today, requests_today, queued, processing })
        })
        .await
    }

    async fn gauges(&self) -> Result<QueueGauges, StoreError> {
        let now = self.now();
        self.read("gauges", move |db| operations::gauges(db, now)).await
    }

    fn watch(&self, id: Uuid) -> Watch {
        self.notifier.watch(id)
    }
}

#[async_trait]
impl Submissions for SqliteStore {
    async fn submit(&self, new: NewJobs) -> Result<Submitted, SubmitError> {
        self.write("submit", move |write| submit::submit(write, new)).await
    }

    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError> {
        let (key, now) = (key.clone(), self.now());
        self.read("knows", move |db| idempotency::knows(db, client, &key, now)).await
    }

    async fn cancel(&self, job: JobId) -> Result<JobRecord, CancelError> {
        self.write("cancel", move |write| cancel::cancel(write, job)).await
    }

    async fn cancel_batch(&self, batch: BatchId) -> Result<BatchRecord, CancelError> {
        self.write("cancel_batch", move |write| cancel::cancel_batch(write, batch)).await
    }

    async fn withdraw(&self, job: JobId) -> Result<(), StoreError> {
        self.write("withdraw", move |write| cancel::withdraw(write, job)).await
    }
}

#[async_trait]
impl WorkQueue for SqliteStore {
    async fn claim(&self, request: &ClaimRequest) -> Result<Claim, StoreError> {
        let request = request.clone();
        self.write("claim", move |write| claim::claim(write, &request)).await
    }

    async fn wait_for_work(&self, _skills: &[Skill], at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.notifier.work()).await;
    }

    async fn heartbeat(&self, lease: &Lease) -> Result<Beat, LeaseError> {
        let lease = lease.clone();
        self.write("heartbeat", move |write| settle::heartbeat(write, &lease)).await?.ok_or(LeaseError::Lost)
    }

    async fn progress(&self, lease: &Lease, fraction: f64) -> Result<(), LeaseError> {
        let lease = lease.clone();
        self.write("progress", move |write| settle::progress(write, &lease, fraction)).await
    }

    async fn finish(&self, lease: &Lease, outcome: Outcome) -> Result<JobRecord, LeaseError> {
        let lease = lease.clone();
        self.write("finish", move |write| settle::finish(write, &lease, outcome)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), LeaseError> {
        let lease = lease.clone();
        self.write("release", move |write| settle::release(write, &lease)).await
    }

    async fn note_recipe(&self, job: &JobRecord, output: OutputName, recipe: Recipe) -> Result<(), StoreError> {
        let (client, job) = (job.client, job.id);
        self.write("note_recipe", move |write| Ok(recipes::note(write, client, (job, output), recipe)?)).await
    }

    async fn made_by(&self, client: ClientKey, recipe: Recipe) -> Result<Option<JobRecord>, StoreError> {
        let now = self.now();
        self.read("made_by", move |db| recipes::made_by(db, client, recipe, now)).await
    }
}

#[async_trait]
impl Outbox for SqliteStore {
    async fn due_hooks(&self, room: HookRoom) -> Result<DueHooks, StoreError> {
        self.write("due_hooks", move |write| Ok(hooks::due(write.db, write.now, &room)?)).await
    }

    async fn hook_attempted(&self, attempted: Attempted) -> Result<(), StoreError> {
        self.write("hook_attempted", move |write| Ok(hooks::attempted(write.db, write.now, &attempted)?)).await
    }

    async fn wait_for_hooks(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.notifier.hooks()).await;
    }
}

#[async_trait]
impl Housekeeping for SqliteStore {
    async fn reap(&self) -> Result<Reaped, StoreError> {
        self.write("reap", reap::reap).await
    }

    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        self.write("garbage", move |write| Ok(garbage::take(write, limit)?)).await
    }

    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError> {
        self.write("collected", move |write| Ok(garbage::collected(write.db, &gone)?)).await
    }

    async fn takes_sweep(&self, every: Duration) -> Result<bool, StoreError> {
        self.write("takes_sweep", move |write| Ok(garbage::takes_sweep(write, every)?)).await
    }

    async fn unused(&self, keys: Vec<BlobKey>) -> Result<Vec<BlobKey>, StoreError> {
        self.read("unused", move |db| garbage::unused(db, keys)).await
    }
}

#[async_trait]
impl Operations for SqliteStore {
    async fn is_paused(&self) -> Result<bool, StoreError> {
        self.read("is_paused", operations::is_paused).await
    }

    async fn set_paused(&self, paused: bool) -> Result<(), StoreError> {
        self.write("set_paused", move |write| Ok(operations::set_paused(write, paused)?)).await
    }

    async fn drained(&self) -> Result<BTreeSet<String>, StoreError> {
        self.read("drained", operations::drained).await
    }

    async fn set_drained(&self, worker: &str, drained: bool) -> Result<(), StoreError> {
        let worker = worker.to_owned();
        self.write("set_drained", move |write| Ok(operations::set_drained(write, &worker, drained)?)).await
    }

    async fn list(&self, list: JobList, limit: usize) -> Result<Vec<JobRecord>, StoreError> {
        self.read("list", move |db| operations::list(db, list, limit)).await
    }

    async fn requeue(&self, job: JobId) -> Result<JobRecord, RequeueError> {
        self.write("requeue", move |write| operations::requeue(write, job)).await
    }

    async fn purge(&self, client: ClientKey) -> Result<u64, StoreError> {
        self.write("purge", move |write| operations::purge(write, client)).await
    }

    async fn adjust_quota(&self, client: ClientKey, units: i64) -> Result<Quota, StoreError> {
        self.write("adjust_quota", move |write| Ok(operations::adjust_quota(write, client, units)?)).await
    }

    async fn resend(&self, subject: Uuid) -> Result<bool, StoreError> {
        self.write("resend", move |write| Ok(hooks::resend(write, subject)?)).await
    }
}

/// One process has the folder for itself, so its workers are known in memory.
#[async_trait]
impl WorkerRegistry for SqliteStore {
    async fn announce(&self, worker: &Announcement) -> Result<(), StoreError> {
        let seen = WorkerSeen { said: worker.clone(), at: self.now() };
        self.workers.lock().unwrap_or_else(PoisonError::into_inner).insert(worker.name.clone(), seen);
        Ok(())
    }

    async fn workers(&self) -> Result<Vec<WorkerSeen>, StoreError> {
        let now = self.now();
        let mut workers = self.workers.lock().unwrap_or_else(PoisonError::into_inner);
        workers.retain(|_, worker| worker.is_remembered(now));
        Ok(workers.values().cloned().collect())
    }
}
