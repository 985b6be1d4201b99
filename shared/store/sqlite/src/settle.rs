//! What the holder of a lease may do: keep it, report, settle the job, give it back.

use remaster_shared::job::{JobRecord, Status};
use remaster_store::rules::job::Event;
use remaster_store::{Beat, Lease, LeaseError, Outcome};
use rusqlite::{Connection, named_params};

use super::apply::apply;
use super::rows::{self, JobRow, millis};
use super::write::{Failure, Write, Written};

/// The job, if `lease` still holds it: the fence that every verb below passes first.
fn held(db: &Connection, lease: &Lease) -> Written<JobRow, LeaseError> {
    rows::job(db, lease.job)?
        .filter(|row| row.record.status == Status::Processing && row.token == lease.token)
        .ok_or(Failure::Refused(LeaseError::Lost))
}

/// Carries out [`remaster_store::WorkQueue::heartbeat`].
pub fn heartbeat(write: &Write<'_>, lease: &Lease) -> Written<Beat, LeaseError> {
    let row = held(write.db, lease)?;
    write.db.prepare_cached("UPDATE jobs SET lease_until = :until WHERE seq = :seq")?.execute(
        named_params! { ":until": millis(write.now) + write.policy.lease.as_millis() as i64, ":seq": row.seq },
    )?;
    Ok(if row.record.cancel_requested { Beat::Cancel } else { Beat::GoOn })
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
    apply(write, &mut row, Event::Finished(outcome), None).map_err(Failure::unexpected)?;
    Ok(row.record)
}

/// Carries out [`remaster_store::WorkQueue::release`].
pub fn release(write: &mut Write<'_>, lease: &Lease) -> Written<(), LeaseError> {
    let mut row = held(write.db, lease)?;
    apply(write, &mut row, Event::Released, None).map_err(Failure::unexpected)
}
