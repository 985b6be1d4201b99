//! One write: the connection inside its transaction, the time, and what has to be told after the commit.

use std::collections::BTreeSet;

use jiff::Timestamp;
use remaster_shared::job::JobRecord;
use remaster_store::rules::job::Refused;
use remaster_store::{Policy, StoreError};
use rusqlite::Connection;
use uuid::Uuid;

/// What a verb works with.
pub struct Write<'a> {
    /// Inside the transaction.
    pub db: &'a Connection,
    /// The settings.
    pub policy: &'a Policy,
    /// The time at which the verb was called.
    pub now: Timestamp,
    /// When a worker last called.
    pub last_call: &'a mut LastCall,
    /// What to tell after the commit.
    pub news: &'a mut News,
}

/// The latest time at which any worker claimed a job, sent a heartbeat or ran its janitor.
#[derive(Default)]
pub struct LastCall(pub Option<Timestamp>);

/// What to tell once a write is durable.
#[derive(Default)]
pub struct News {
    /// Jobs and batches that changed.
    pub changed: BTreeSet<Uuid>,
    /// Whether a worker may find work, or its wait has to end at another time.
    pub work_available: bool,
    /// Whether a webhook may be due.
    pub hooks_due: bool,
}

impl News {
    /// The job changed, and with it its batch. Where it ended, a webhook may have become due.
    pub fn changed(&mut self, job: &JobRecord) {
        self.changed.insert(job.id.0);
        self.changed.extend(job.batch.map(|batch| batch.0));
        self.hooks_due |= job.status.is_terminal();
    }

    /// Adds what another write has to tell.
    pub fn append(&mut self, mut other: News) {
        self.changed.append(&mut other.changed);
        self.work_available |= other.work_available;
        self.hooks_due |= other.hooks_due;
    }
}

/// Why a write is rolled back: the database failed, or the verb refuses.
#[derive(Debug)]
pub enum Failure<E> {
    /// The database failed.
    Database(rusqlite::Error),
    /// The verb's own answer.
    Refused(E),
}

impl<E> From<rusqlite::Error> for Failure<E> {
    fn from(error: rusqlite::Error) -> Self {
        Failure::Database(error)
    }
}

impl<E: From<StoreError>> Failure<E> {
    /// The failure as the caller of the verb sees it.
    pub fn into_error(self) -> E {
        match self {
            Failure::Database(error) => StoreError::caused_by(error).into(),
            Failure::Refused(error) => error,
        }
    }
}

impl Failure<Refused> {
    /// Turns a refusal that earlier checks rule out into a store error, because the row must be inconsistent.
    pub fn unexpected<E: From<StoreError>>(self) -> Failure<E> {
        match self {
            Failure::Database(error) => Failure::Database(error),
            Failure::Refused(refused) => Failure::Refused(StoreError::caused_by(refused).into()),
        }
    }
}

/// What a verb gives.
pub type Written<T, E> = Result<T, Failure<E>>;
