//! Calling jobs off: cancel, cancel a batch, withdraw.

use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord};
use remaster_store::rules::job::{Event, Refused};
use remaster_store::{CancelError, StoreError};
use rusqlite::named_params;

use super::apply::apply;
use super::write::{Failure, Write, Written};
use super::{batch, rows};

/// Carries out [`remaster_store::Submissions::cancel`].
pub fn cancel(write: &mut Write<'_>, job: JobId) -> Written<JobRecord, CancelError> {
    let mut row = rows::job(write.db, job)?.ok_or(Failure::Refused(CancelError::NotFound))?;
    match apply(write, &mut row, Event::CancelRequested) {
        Ok(()) => Ok(row.record),
        Err(Failure::Refused(Refused::AlreadyFinished(status))) => {
            Err(Failure::Refused(CancelError::AlreadyFinished(status.as_str())))
        }
        Err(failure) => Err(failure.unexpected()),
    }
}

/// Carries out [`remaster_store::Submissions::cancel_batch`].
pub fn cancel_batch(write: &mut Write<'_>, id: BatchId) -> Written<BatchRecord, CancelError> {
    let batch = batch::read(write.db, id)?.ok_or(Failure::Refused(CancelError::NotFound))?;
    if batch.finished_at().is_some() {
        return Err(Failure::Refused(CancelError::AlreadyFinished(batch.status().as_str())));
    }
    write
        .db
        .prepare_cached("UPDATE batches SET cancel_requested = 1 WHERE id = :id")?
        .execute(named_params! { ":id": id.0 })?;
    for job in batch.jobs.iter().filter(|job| !job.status.is_terminal()) {
        cancel(write, job.id)?;
    }
    write.news.changed.insert(id.0);
    batch::read(write.db, id)?.ok_or(Failure::Refused(CancelError::NotFound))
}

/// Carries out [`remaster_store::Submissions::withdraw`]. A write that failed was not carried out, so there is hardly ever a
/// job to find here.
pub fn withdraw(write: &mut Write<'_>, job: JobId) -> Written<(), StoreError> {
    let Some(mut row) = rows::job(write.db, job)? else { return Ok(()) };
    apply(write, &mut row, Event::Withdrawn).map_err(Failure::unexpected)
}
