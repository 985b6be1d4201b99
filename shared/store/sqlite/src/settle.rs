//! What the holder of a lease may do: keep it, report, settle the job, give it back.

use remaster_shared::job::{JobRecord, Status};
use remaster_store::rules::job::Event;
use remaster_store::{Beat, Lease, LeaseError, Outcome};
use rusqlite::{Connection, named_params};

use super::apply::apply;
use super::lease::spare;
use super::rows::{self, JobRow};
use super::write::{Failure, News, Write, Written};

/// The job, if `lease` still holds it: the fence that every verb below passes first.
fn held(db: &Connection, lease: &Lease) -> Written<JobRow, LeaseError> {
    rows::job(db, lease.job)?
        .filter(|row| row.record.status == Status::Processing && row.fence == Some(lease.fence))
        .ok_or(Failure::Refused(LeaseError::Lost))
}

/// Carries out [`remaster_store::WorkQueue::heartbeat`]; `None` when the lease is lost. That is no failure of the write: what it
/// did for other leases stands.
pub fn heartbeat(write: &mut Write<'_>, lease: &Lease) -> Written<Option<Beat>, LeaseError> {
    spare(write)?;
    let mut row = match held(write.db, lease) {
        Err(Failure::Refused(LeaseError::Lost)) => return Ok(None),
        row => row?,
    };
    // Nothing changes that anybody waits for.
    let mut unheard = News::default();
    let mut quiet = Write { news: &mut unheard, last_call: &mut *write.last_call, ..*write };
    apply(&mut quiet, &mut row, Event::Heartbeat).map_err(Failure::unexpected)?;
    Ok(Some(if row.record.cancel_requested { Beat::Cancel } else { Beat::GoOn }))
}

/// Carries out [`remaster_store::WorkQueue::progress`].
pub fn progress(write: &mut Write<'_>, lease: &Lease, fraction: f64) -> Written<(), LeaseError> {
    let row = held(write.db, lease)?;
    write
        .db
        .prepare_cached("UPDATE jobs SET progress = :fraction WHERE seq = :seq")?
        .execute(named_params! { ":fraction": fraction.clamp(0.0, 1.0), ":seq": row.seq })?;
    write.news.changed(&row.record);
    Ok(())
}

/// Carries out [`remaster_store::WorkQueue::finish`].
pub fn finish(write: &mut Write<'_>, lease: &Lease, outcome: Outcome) -> Written<JobRecord, LeaseError> {
    let mut row = held(write.db, lease)?;
    apply(write, &mut row, Event::Finished(outcome)).map_err(Failure::unexpected)?;
    Ok(row.record)
}

/// Carries out [`remaster_store::WorkQueue::release`].
pub fn release(write: &mut Write<'_>, lease: &Lease) -> Written<(), LeaseError> {
    let mut row = held(write.db, lease)?;
    apply(write, &mut row, Event::Released).map_err(Failure::unexpected)
}
