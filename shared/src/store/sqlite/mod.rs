//! The embedded store: one SQLite database in the data folder, one process.
//!
//! Writes go through one thread with group commit ([`writer`]); reads use connections of their own, so a poll never
//! waits for a commit.

mod batch;
mod claim;
mod hooks;
mod idempotency;
mod open;
mod quota;
mod reap;
mod rows;
mod settle;
mod submit;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    collections::BTreeMap,
    fs::File,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use jiff::Timestamp;
use rusqlite::{Connection, named_params};
use tokio::sync::Semaphore;
use uuid::Uuid;

pub use open::OpenError;

use super::{
    Beat, CancelError, Claim, DueHooks, HookRoom, Lease, LeaseError, NewJobs, Outcome, Policy, Reaped, Stats, Store,
    StoreError, SubmitError, Submitted, Watch, hub::Hub,
};
use crate::blob::BlobKey;
use crate::client::{ClientHasher, ClientKey};
use crate::clock::SharedClock;
use crate::fleet::{Announcement, WorkerSeen};
use crate::idempotency::IdempotencyKey;
use crate::job::{BatchId, BatchRecord, JobId, JobRecord, Status};
use crate::quota::{Quota, UtcDay};
use crate::webhook::delivery::Attempted;
use writer::Writer;

/// Connections for reading.
const READERS: usize = 4;

pub struct SqliteStore {
    writer: Writer,
    readers: Arc<Mutex<Vec<Connection>>>,
    reading: Arc<Semaphore>,
    hub: Arc<Hub>,
    hasher: ClientHasher,
    policy: Policy,
    clock: SharedClock,
    /// This process's workers.
    workers: Mutex<BTreeMap<String, WorkerSeen>>,
    /// Keeps other processes out of the folder. Last, so that it outlives the connections.
    _lock: File,
}

impl SqliteStore {
    /// Opens (or makes) the database in `folder`, alone: a second process is refused.
    pub fn open(folder: &Path, policy: Policy, clock: SharedClock) -> Result<Self, OpenError> {
        let lock = open::lock(folder)?;
        let path = folder.join("remaster.sqlite");
        let database = |error| OpenError::Database(path.clone(), error);
        let mut connection = open::connect(&path).map_err(database)?;
        open::migrate(&mut connection, &path)?;
        open::end_leases(&connection).map_err(database)?;
        let secret = connection.query_row("SELECT secret FROM service", [], |row| row.get(0)).map_err(database)?;
        let readers =
            (0..READERS).map(|_| open::connect(&path)).collect::<rusqlite::Result<Vec<_>>>().map_err(database)?;
        let hub = Arc::new(Hub::default());
        let writer =
            Writer::start(connection, Arc::clone(&hub)).map_err(|error| OpenError::Folder(folder.to_owned(), error))?;
        Ok(Self {
            writer,
            readers: Arc::new(Mutex::new(readers)),
            reading: Arc::new(Semaphore::new(READERS)),
            hub,
            hasher: ClientHasher::new(secret),
            policy,
            clock,
            workers: Mutex::default(),
            _lock: lock,
        })
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let gone = || StoreError("the reader was interrupted".into());
        let permit = Arc::clone(&self.reading).acquire_owned().await.map_err(|_| gone())?;
        let readers = Arc::clone(&self.readers);
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let pool = || readers.lock().unwrap_or_else(PoisonError::into_inner);
            let connection = pool().pop().ok_or_else(gone)?;
            let result = read(&connection);
            pool().push(connection);
            result.map_err(StoreError::from)
        })
        .await
        .map_err(|_| gone())?
    }
}

#[async_trait]
impl Store for SqliteStore {
    fn name(&self) -> &'static str {
        "sqlite"
    }

    fn hasher(&self) -> &ClientHasher {
        &self.hasher
    }

    async fn submit(&self, new: NewJobs) -> Result<Submitted, SubmitError> {
        let (policy, now) = (self.policy.clone(), self.now());
        self.writer.write(move |db, effects| submit::submit(db, effects, &policy, now, new)).await
    }

    async fn knows(&self, client: ClientKey, key: &IdempotencyKey) -> Result<bool, StoreError> {
        let (key, now) = (key.clone(), self.now());
        self.read(move |db| idempotency::knows(db, client, &key, now)).await
    }

    async fn claim(&self, worker: &str) -> Result<Claim, StoreError> {
        let (policy, now, worker) = (self.policy.clone(), self.now(), worker.to_owned());
        self.writer.write(move |db, effects| claim::claim(db, effects, &policy, now, &worker)).await
    }

    async fn wait_for_work(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.hub.work()).await;
    }

    async fn heartbeat(&self, lease: &Lease) -> Result<Beat, LeaseError> {
        let (policy, now, lease) = (self.policy.clone(), self.now(), lease.clone());
        self.writer.write(move |db, _| settle::heartbeat(db, &policy, now, &lease)).await
    }

    async fn progress(&self, lease: &Lease, fraction: f64) -> Result<(), LeaseError> {
        let lease = lease.clone();
        self.writer.write(move |db, effects| settle::progress(db, effects, &lease, fraction)).await
    }

    async fn finish(&self, lease: &Lease, outcome: Outcome) -> Result<JobRecord, LeaseError> {
        let (policy, now, lease) = (self.policy.clone(), self.now(), lease.clone());
        self.writer.write(move |db, effects| settle::finish(db, effects, &policy, now, &lease, outcome)).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), LeaseError> {
        let (now, lease) = (self.now(), lease.clone());
        self.writer.write(move |db, effects| settle::release(db, effects, now, &lease)).await
    }

    async fn cancel(&self, job: JobId) -> Result<JobRecord, CancelError> {
        let now = self.now();
        self.writer.write(move |db, effects| settle::cancel(db, effects, now, job)).await
    }

    /// A write that failed was not carried out, so there is hardly ever a job to find.
    async fn withdraw(&self, job: JobId) -> Result<(), StoreError> {
        let now = self.now();
        match self.writer.write(move |db, effects| settle::withdraw(db, effects, now, job)).await {
            Err(CancelError::Store(error)) => Err(error),
            _ => Ok(()),
        }
    }

    async fn get(&self, job: JobId) -> Result<Option<JobRecord>, StoreError> {
        self.read(move |db| {
            let Some(mut row) = rows::job(db, job)? else { return Ok(None) };
            if row.record.status == Status::Queued {
                row.record.position = Some(position(db, row.record.client, row.seq)?);
            }
            row.record.webhook = hooks::delivery(db, job.0)?;
            Ok(Some(row.record))
        })
        .await
    }

    async fn batch(&self, batch: BatchId) -> Result<Option<BatchRecord>, StoreError> {
        self.read(move |db| batch::read(db, batch)).await
    }

    async fn cancel_batch(&self, batch: BatchId) -> Result<BatchRecord, CancelError> {
        let now = self.now();
        self.writer.write(move |db, effects| batch::cancel(db, effects, now, batch)).await
    }

    fn watch(&self, id: Uuid) -> Watch {
        self.hub.watch(id)
    }

    async fn due_hooks(&self, room: HookRoom) -> Result<DueHooks, StoreError> {
        let now = self.now();
        self.writer.write(move |db, _| hooks::due(db, now, &room)).await
    }

    async fn hook_attempted(&self, attempted: Attempted) -> Result<(), StoreError> {
        let now = self.now();
        self.writer.write(move |db, _| hooks::attempted(db, now, &attempted).map_err(StoreError::from)).await
    }

    async fn wait_for_hooks(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.hub.hooks()).await;
    }

    async fn quota(&self, client: ClientKey) -> Result<Quota, StoreError> {
        let (limit, now) = (self.policy.daily_limit, self.now());
        self.read(move |db| Ok(Quota::new(quota::used(db, client, UtcDay::of(now))?, limit, now))).await
    }

    async fn reap(&self) -> Result<Reaped, StoreError> {
        let (policy, now) = (self.policy.clone(), self.now());
        self.writer.write(move |db, effects| reap::reap(db, effects, &policy, now)).await
    }

    async fn garbage(&self, limit: usize) -> Result<Vec<BlobKey>, StoreError> {
        self.read(move |db| reap::garbage(db, limit)).await
    }

    async fn collected(&self, gone: Vec<BlobKey>) -> Result<(), StoreError> {
        self.writer.write(move |db, _| reap::collected(db, &gone).map_err(StoreError::from)).await
    }

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

    async fn stats(&self) -> Result<Stats, StoreError> {
        let day = UtcDay::of(self.now()).0;
        self.read(move |db| {
            let (clients_today, requests_today) = db.query_row(
                "SELECT count(*), coalesce(sum(used), 0) FROM quota WHERE day = :day AND used > 0",
                named_params! { ":day": day },
                |row| Ok((row.get(0)?, row.get(1)?)),
            )?;
            Ok(Stats {
                clients_today,
                requests_today,
                queued: submit::count(db, Status::Queued)?,
                processing: submit::count(db, Status::Processing)?,
            })
        })
        .await
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

/// Place in line, from 1, when clients take turns: behind one's own earlier jobs, and behind as many of everybody
/// else's as they have, but no more than one a turn.
fn position(connection: &Connection, client: ClientKey, seq: i64) -> rusqlite::Result<u64> {
    let turns: u64 = connection
        .prepare_cached(
            "SELECT count(*) FROM jobs
             WHERE client = :client AND status = 'queued' AND not_before IS NULL AND seq <= :seq",
        )?
        .query_row(named_params! { ":client": client, ":seq": seq }, |row| row.get(0))?;
    let turns = turns.max(1);
    let others: u64 = connection
        .prepare_cached(
            "SELECT coalesce(sum(min(ready, :turns)), 0) FROM clients WHERE ready > 0 AND client <> :client",
        )?
        .query_row(named_params! { ":turns": turns - 1, ":client": client }, |row| row.get(0))?;
    Ok(turns + others)
}
