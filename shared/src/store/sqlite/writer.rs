//! The one writer: a thread that owns the writing connection and commits in groups.
//!
//! Each write runs in a savepoint of its own; one COMMIT (one fsync) covers all that were waiting. A reply is sent,
//! and watchers are told, only after that COMMIT.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc, thread::JoinHandle};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

use crate::job::JobRecord;
use crate::store::{StoreError, hub::Hub};

/// Writes committed together at most, so that the first of them does not wait for ever.
const GROUP: usize = 256;
/// Writes that may wait before callers do.
const BACKLOG: usize = 4096;

/// What to tell once the write is durable.
#[derive(Default)]
pub struct Effects {
    /// Jobs and batches.
    pub changed: BTreeSet<Uuid>,
    pub work_available: bool,
    pub hooks_due: bool,
}

impl Effects {
    /// The job changed, and with it its batch; where it ended, a webhook may have become due.
    pub fn changed(&mut self, job: &JobRecord) {
        self.changed.insert(job.id.0);
        self.changed.extend(job.batch.map(|batch| batch.0));
        self.hooks_due |= job.status.is_terminal();
    }
}

/// Runs inside the transaction; what it returns runs after COMMIT, told whether that succeeded.
type Write = Box<dyn FnOnce(&Connection, &mut Effects) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

pub struct Writer {
    writes: Option<mpsc::Sender<Write>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub fn start(connection: Connection, hub: Arc<Hub>) -> std::io::Result<Self> {
        let (writes, queue) = mpsc::channel(BACKLOG);
        let thread =
            std::thread::Builder::new().name("sqlite-writer".into()).spawn(move || run(connection, queue, &hub))?;
        Ok(Self { writes: Some(writes), thread: Some(thread) })
    }

    /// Runs `write` in a transaction; an `Err` from it rolls just that write back. Once sent it is carried out, also
    /// when the caller stops waiting.
    pub async fn write<T, E>(
        &self,
        write: impl FnOnce(&Connection, &mut Effects) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + From<rusqlite::Error> + Send + 'static,
    {
        let stopped = || E::from(StoreError("the write was not carried out".into()));
        let (reply, answer) = oneshot::channel();
        let job: Write = Box::new(move |connection, effects| {
            let mut own = Effects::default();
            let result = in_savepoint(connection, || write(connection, &mut own));
            if result.is_ok() {
                effects.changed.append(&mut own.changed);
                effects.work_available |= own.work_available;
                effects.hooks_due |= own.hooks_due;
            }
            Box::new(move |committed| {
                // The caller may have gone; the write stands all the same.
                let _ = reply.send(result.and_then(|value| committed.map(|()| value).map_err(E::from)));
            })
        });
        let Some(writes) = &self.writes else { return Err(stopped()) };
        writes.send(job).await.map_err(|_| stopped())?;
        answer.await.map_err(|_| stopped())?
    }
}

impl Drop for Writer {
    /// Finishes the writes that were accepted, then closes the database.
    fn drop(&mut self) {
        drop(self.writes.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn in_savepoint<T, E: From<rusqlite::Error>>(
    connection: &Connection,
    write: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    connection.execute_batch("SAVEPOINT one")?;
    let result = write();
    let end = if result.is_ok() { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
    connection.execute_batch(end)?;
    result
}

fn run(mut connection: Connection, mut queue: mpsc::Receiver<Write>, hub: &Hub) {
    let mut group = Vec::new();
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        let mut effects = Effects::default();
        let mut replies = Vec::with_capacity(group.len());
        let committed = commit(&mut connection, group.drain(..), &mut replies, &mut effects);
        if let Err(error) = &committed {
            tracing::error!(%error, "a group of store writes failed");
        } else {
            effects.changed.iter().for_each(|id| hub.changed(*id));
            if effects.work_available {
                hub.work_available();
            }
            if effects.hooks_due {
                hub.hooks_due();
            }
        }
        for reply in replies {
            reply(committed.clone());
        }
    }
}

fn commit(
    connection: &mut Connection,
    group: impl Iterator<Item = Write>,
    replies: &mut Vec<Reply>,
    effects: &mut Effects,
) -> Result<(), StoreError> {
    let transaction = connection
        .transaction_with_behavior(TransactionBehavior::Immediate)
        .map_err(|error| StoreError(error.to_string()))?;
    for write in group {
        // On a full disk the database may end the whole transaction by itself. What came after would be committed on its
        // own, and reported as failed: nothing more is run, and those callers are told so.
        if transaction.is_autocommit() {
            break;
        }
        // A panic in one write must not take the others, nor the thread, with it; its caller sees the reply dropped.
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| write(&transaction, effects)));
        match outcome {
            Ok(reply) => replies.push(reply),
            Err(_) => {
                let rolled_back = transaction.execute_batch("ROLLBACK TO one; RELEASE one");
                tracing::error!(?rolled_back, "a store write panicked");
            }
        }
    }
    transaction.commit().map_err(|error| StoreError(error.to_string()))
}
