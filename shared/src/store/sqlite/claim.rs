//! Claim: whose turn it is, and the lease on its oldest job.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::reap::reclaim;
use super::rows::{JobRow, millis, read_job};
use super::writer::Effects;
use crate::job::Status;
use crate::store::{Claim, Lease, Policy, StoreError};

pub fn claim(
    connection: &Connection,
    effects: &mut Effects,
    policy: &Policy,
    now: Timestamp,
    worker: &str,
) -> Result<Claim, StoreError> {
    promote(connection, now)?;
    reclaim(connection, effects, policy, now)?;
    let Some(row) = next(connection)? else {
        return Ok(Claim::Nothing { next: next_event(connection, now)? });
    };
    if !row.clock_charged {
        advance(connection, &row)?;
    }
    let status = row.record.status.transition(Status::Processing).map_err(|error| StoreError(error.to_string()))?;
    let mut record = row.record;
    record.status = status;
    record.attempt += 1;
    record.progress = 0.0;
    record.started_at = record.started_at.or(Some(now));
    let lease = Lease { job: record.id, attempt: record.attempt, token: row.token + 1, worker: worker.to_owned() };
    connection
        .prepare_cached(
            "UPDATE jobs SET status = :status, attempt = :attempt, token = :token, worker = :worker, progress = 0,
                 lease_until = :until, started_at = :started, clock_charged = 1
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":status": record.status,
            ":attempt": lease.attempt,
            ":token": lease.token,
            ":worker": worker,
            ":until": millis(now) + policy.lease.as_millis() as i64,
            ":started": record.started_at.map(millis),
            ":seq": row.seq,
        })?;
    effects.changed(&record);
    // Another job may be waiting for another worker, whose wake-up this claim took.
    effects.work_available = true;
    Ok(Claim::Job(Box::new(record), lease))
}

/// Retries that have become due join their client's line again, in their old place.
fn promote(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE jobs SET not_before = NULL WHERE not_before <= :now")?
        .execute(named_params! { ":now": millis(now) })
        .map(drop)
}

/// The oldest ready job of the client whose turn it is. Between equals the shorter line goes first: one photo does not
/// wait for the first of a batch.
fn next(connection: &Connection) -> rusqlite::Result<Option<JobRow>> {
    connection
        .prepare_cached(
            "SELECT * FROM jobs
             WHERE client = (SELECT client FROM clients WHERE ready > 0 ORDER BY vstart, ready LIMIT 1)
                 AND status = 'queued' AND not_before IS NULL
             ORDER BY seq LIMIT 1",
        )?
        .query_row([], read_job)
        .optional()
}

/// Virtual time moves to the served client's start, and that client's next start behind it by the job's cost.
fn advance(connection: &Connection, row: &JobRow) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE service SET virtual_now = max(virtual_now, (SELECT vstart FROM clients WHERE client = :client))",
        )?
        .execute(named_params! { ":client": row.record.client })?;
    connection
        .prepare_cached("UPDATE clients SET vstart = vstart + :cost WHERE client = :client")?
        .execute(named_params! { ":client": row.record.client, ":cost": row.cost })
        .map(drop)
}

fn next_event(connection: &Connection, now: Timestamp) -> rusqlite::Result<Option<Duration>> {
    let at: Option<i64> = connection
        .prepare_cached(
            "SELECT min(at) FROM (
                 SELECT min(not_before) AS at FROM jobs WHERE not_before IS NOT NULL
                 UNION ALL
                 SELECT min(lease_until) FROM jobs WHERE lease_until IS NOT NULL)",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(|at| Duration::from_millis((at - millis(now)).max(0) as u64)))
}
