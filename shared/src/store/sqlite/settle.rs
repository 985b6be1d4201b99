//! What the holder of a lease may do: keep it, report, settle it, give it back. And what a caller may: cancel.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::hooks;
use super::quota::refund;
use super::rows::{self, JobRow, Json, millis};
use super::writer::Effects;
use crate::error::{Fault, JobError};
use crate::job::{IllegalTransition, JobId, JobRecord, Status};
use crate::store::{Beat, CancelError, Lease, LeaseError, Outcome, Policy, StoreError, backoff};

/// The job, if `lease` still holds it: the fence every verb below passes first.
fn held(connection: &Connection, lease: &Lease) -> Result<JobRow, LeaseError> {
    rows::job(connection, lease.job)?
        .filter(|row| row.record.status == Status::Processing && row.token == lease.token)
        .ok_or(LeaseError::Lost)
}

pub fn heartbeat(connection: &Connection, policy: &Policy, now: Timestamp, lease: &Lease) -> Result<Beat, LeaseError> {
    let row = held(connection, lease)?;
    connection
        .prepare_cached("UPDATE jobs SET lease_until = :until WHERE seq = :seq")?
        .execute(named_params! { ":until": millis(now) + policy.lease.as_millis() as i64, ":seq": row.seq })?;
    Ok(if row.record.cancel_requested { Beat::Cancel } else { Beat::GoOn })
}

pub fn progress(
    connection: &Connection,
    effects: &mut Effects,
    lease: &Lease,
    fraction: f64,
) -> Result<(), LeaseError> {
    let row = held(connection, lease)?;
    connection
        .prepare_cached("UPDATE jobs SET progress = :fraction WHERE seq = :seq")?
        .execute(named_params! { ":fraction": fraction.clamp(0.0, 1.0), ":seq": row.seq })?;
    effects.changed(&row.record);
    Ok(())
}

pub fn finish(
    connection: &Connection,
    effects: &mut Effects,
    policy: &Policy,
    now: Timestamp,
    lease: &Lease,
    outcome: Outcome,
) -> Result<JobRecord, LeaseError> {
    let mut row = held(connection, lease)?;
    if let Outcome::Succeeded(_) = outcome {
        // Also when the job ends canceled: the picture is there and has to be deleted.
        connection
            .prepare_cached("UPDATE jobs SET output_attempt = :attempt WHERE seq = :seq")?
            .execute(named_params! { ":attempt": lease.attempt, ":seq": row.seq })?;
    }
    match outcome {
        _ if row.record.cancel_requested => end(&mut row, Status::Canceled, now)?,
        Outcome::Canceled => end(&mut row, Status::Canceled, now)?,
        Outcome::Succeeded(result) => {
            end(&mut row, Status::Succeeded, now)?;
            row.record.progress = 1.0;
            row.record.result = Some(result);
            row.record.expires_at = now.checked_add(policy.result_ttl).ok();
        }
        Outcome::Failed(error) if error.is_retryable() && row.record.attempt < policy.max_attempts => {
            retry(connection, effects, policy, now, &mut row)?;
            return Ok(row.record);
        }
        Outcome::Failed(error) => fail(connection, &mut row, now, error)?,
    }
    save(connection, &row)?;
    effects.changed(&row.record);
    Ok(row.record)
}

fn retry(
    connection: &Connection,
    effects: &mut Effects,
    policy: &Policy,
    now: Timestamp,
    row: &mut JobRow,
) -> Result<(), LeaseError> {
    row.record.status = legal(row.record.status.transition(Status::Queued))?;
    row.record.progress = 0.0;
    save(connection, row)?;
    let wait = backoff(policy.retry_after, row.record.attempt);
    connection
        .prepare_cached("UPDATE jobs SET not_before = :at WHERE seq = :seq")?
        .execute(named_params! { ":at": millis(now) + wait.as_millis() as i64, ":seq": row.seq })?;
    effects.changed(&row.record);
    // Nobody has work now, but the wait for it has a new end.
    effects.work_available = true;
    Ok(())
}

/// Fails the job for good; the unit comes back when the fault is the service's.
pub fn fail(connection: &Connection, row: &mut JobRow, now: Timestamp, error: JobError) -> Result<(), StoreError> {
    end(row, Status::Failed, now)?;
    if error.code.fault() == Fault::Service {
        refund(connection, row.record.client, row.charged_day)?;
    }
    row.record.error = Some(error);
    Ok(())
}

fn end(row: &mut JobRow, status: Status, now: Timestamp) -> Result<(), StoreError> {
    row.record.status = legal(row.record.status.transition(status))?;
    row.record.finished_at = Some(now);
    Ok(())
}

fn legal(transition: Result<Status, IllegalTransition>) -> Result<Status, StoreError> {
    transition.map_err(|error| StoreError(error.to_string()))
}

/// Writes what settling changes; the lease ends with it.
pub fn save(connection: &Connection, row: &JobRow) -> rusqlite::Result<()> {
    let record = &row.record;
    connection
        .prepare_cached(
            "UPDATE jobs SET status = :status, attempt = :attempt, progress = :progress, result = :result,
                 error = :error, started_at = :started, finished_at = :finished, expires_at = :expires,
                 lease_until = NULL, worker = NULL, not_before = NULL
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":status": record.status,
            ":attempt": record.attempt,
            ":progress": record.progress,
            ":result": record.result.as_ref().map(Json),
            ":error": record.error.as_ref().map(Json),
            ":started": record.started_at.map(millis),
            ":finished": record.finished_at.map(millis),
            ":expires": record.expires_at.map(millis),
            ":seq": row.seq,
        })
        .map(drop)
}

pub fn release(
    connection: &Connection,
    effects: &mut Effects,
    now: Timestamp,
    lease: &Lease,
) -> Result<(), LeaseError> {
    let mut row = held(connection, lease)?;
    if row.record.cancel_requested {
        end(&mut row, Status::Canceled, now)?;
    } else {
        row.record.status = legal(row.record.status.transition(Status::Queued))?;
        // The attempt was not the job's doing. Its output key may be written again: nothing of it was published.
        row.record.attempt -= 1;
        row.record.progress = 0.0;
        if row.record.attempt == 0 {
            row.record.started_at = None;
        }
    }
    save(connection, &row)?;
    effects.changed(&row.record);
    effects.work_available = true;
    Ok(())
}

pub fn cancel(
    connection: &Connection,
    effects: &mut Effects,
    now: Timestamp,
    job: JobId,
) -> Result<JobRecord, CancelError> {
    let mut row = rows::job(connection, job)?.ok_or(CancelError::NotFound)?;
    match row.record.status {
        Status::Queued => {
            end(&mut row, Status::Canceled, now)?;
            if row.record.started_at.is_none() {
                refund(connection, row.record.client, row.charged_day)?;
            }
            save(connection, &row)?;
        }
        Status::Processing => {
            row.record.cancel_requested = true;
            connection
                .prepare_cached("UPDATE jobs SET cancel_requested = 1 WHERE seq = :seq")?
                .execute(named_params! { ":seq": row.seq })?;
        }
        ended => return Err(CancelError::AlreadyFinished(ended.as_str())),
    }
    effects.changed(&row.record);
    Ok(row.record)
}

/// Cancels a job that its caller knows nothing of: nobody is told.
pub fn withdraw(connection: &Connection, effects: &mut Effects, now: Timestamp, job: JobId) -> Result<(), CancelError> {
    let row = rows::job(connection, job)?.ok_or(CancelError::NotFound)?;
    hooks::forget(connection, job.0)?;
    if let Some(batch) = row.record.batch {
        hooks::forget(connection, batch.0)?;
    }
    match cancel(connection, effects, now, job) {
        // Whatever it has come to, nobody is told.
        Err(CancelError::AlreadyFinished(_)) => Ok(()),
        canceled => canceled.map(drop),
    }
}
