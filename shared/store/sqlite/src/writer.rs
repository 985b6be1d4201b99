//! The one writer: a thread that owns the writing connection and commits in groups.
//!
//! Each write runs in a savepoint of its own; one COMMIT (one fsync) covers all that were waiting. Only after that COMMIT is a
//! reply sent and are watchers told.

use std::{panic::AssertUnwindSafe, sync::Arc, thread::JoinHandle};

use remaster_store::{StoreError, notifier::Notifier};
use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

use super::write::{Failure, LastCall, News, Written};

/// The most writes that one COMMIT covers, so that the first of them does not wait too long.
const GROUP: usize = 256;
/// How many writes the channel holds. When it is full, callers wait.
const BACKLOG: usize = 4096;

/// Runs inside the transaction; what it returns runs after COMMIT, told whether that succeeded.
type Work = Box<dyn FnOnce(&Connection, &mut LastCall, &mut News) -> Reply + Send>;
type Reply = Box<dyn FnOnce(Result<(), StoreError>) + Send>;

/// The way to the thread.
pub struct Writer {
    writes: Option<mpsc::Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread.
    pub fn start(connection: Connection, notifier: Arc<Notifier>) -> std::io::Result<Self> {
        let (writes, queue) = mpsc::channel(BACKLOG);
        let thread = std::thread::Builder::new()
            .name("sqlite-writer".into())
            .spawn(move || run(connection, queue, &notifier))?;
        Ok(Self { writes: Some(writes), thread: Some(thread) })
    }

    /// Runs `write` in a transaction; an `Err` from it rolls just that write back. Once sent it is carried out, also
    /// when the caller stops waiting.
    pub async fn write<T, E>(
        &self,
        write: impl FnOnce(&Connection, &mut LastCall, &mut News) -> Written<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let stopped = || E::from(StoreError::new("the write was not carried out"));
        let (reply, answer) = oneshot::channel();
        let work: Work = Box::new(move |connection, last_call, news| {
            let mut own = News::default();
            let result =
                in_savepoint(connection, || write(connection, last_call, &mut own)).map_err(Failure::into_error);
            if result.is_ok() {
                news.append(own);
            }
            Box::new(move |committed| {
                // The caller may have gone; the write stands all the same.
                let _ = reply.send(result.and_then(|value| committed.map(|()| value).map_err(E::from)));
            })
        });
        let Some(writes) = &self.writes else { return Err(stopped()) };
        writes.send(work).await.map_err(|_| stopped())?;
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

fn in_savepoint<T, E>(connection: &Connection, write: impl FnOnce() -> Written<T, E>) -> Written<T, E> {
    connection.execute_batch("SAVEPOINT one")?;
    let result = write();
    let end = if result.is_ok() { "RELEASE one" } else { "ROLLBACK TO one; RELEASE one" };
    connection.execute_batch(end)?;
    result
}

fn run(mut connection: Connection, mut queue: mpsc::Receiver<Work>, notifier: &Notifier) {
    let mut group = Vec::new();
    let mut last_call = LastCall::default();
    while queue.blocking_recv_many(&mut group, GROUP) > 0 {
        let mut news = News::default();
        let mut replies = Vec::with_capacity(group.len());
        let committed = commit(&mut connection, group.drain(..), &mut replies, (&mut last_call, &mut news));
        if let Err(error) = &committed {
            tracing::error!(%error, "a group of store writes failed");
        } else {
            news.changed.iter().for_each(|id| notifier.changed(*id));
            if news.work_available {
                notifier.work_available();
            }
            if news.hooks_due {
                notifier.hooks_due();
            }
        }
        for reply in replies {
            reply(committed.clone());
        }
    }
}

fn commit(
    connection: &mut Connection,
    group: impl Iterator<Item = Work>,
    replies: &mut Vec<Reply>,
    (last_call, news): (&mut LastCall, &mut News),
) -> Result<(), StoreError> {
    let transaction =
        connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(StoreError::caused_by)?;
    for write in group {
        // On a full disk the database may end the whole transaction by itself. What came after would be committed on its
        // own, and reported as failed: nothing more is run, and those callers are told so.
        if transaction.is_autocommit() {
            break;
        }
        // A panic in one write must not take the others, nor the thread, with it; its caller sees the reply dropped.
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| write(&transaction, last_call, news)));
        match outcome {
            Ok(reply) => replies.push(reply),
            Err(_) => {
                let rolled_back = transaction.execute_batch("ROLLBACK TO one; RELEASE one");
                tracing::error!(?rolled_back, "a store write panicked");
            }
        }
    }
    transaction.commit().map_err(StoreError::caused_by)
}
