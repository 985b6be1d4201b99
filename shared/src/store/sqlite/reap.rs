//! Housekeeping: leases that ran out, results that expired, records that were kept long enough.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::idempotency;
use super::rows::{JobRow, millis, read_job};
use super::settle::{fail, save};
use super::writer::Effects;
use crate::blob::BlobKey;
use crate::error::{ErrorCode, JobError};
use crate::job::Status;
use crate::quota::UtcDay;
use crate::store::{Policy, Reaped, StoreError};

pub fn reap(
    connection: &Connection,
    effects: &mut Effects,
    policy: &Policy,
    now: Timestamp,
) -> Result<Reaped, StoreError> {
    let mut reaped = reclaim(connection, effects, policy, now)?;
    for mut row in select(connection, "status = 'succeeded' AND expires_at <= :at", now)? {
        row.record.status =
            row.record.status.transition(Status::Expired).map_err(|error| StoreError(error.to_string()))?;
        save(connection, &row)?;
        effects.changed(&row.record);
        reaped.expired += 1;
    }
    // Only once its blobs are gone, whoever is to be told of it was, and its batch has ended: the record is what remembers.
    let kept = (policy.result_ttl + policy.record_ttl).as_millis() as i64;
    reaped.forgotten = connection
        .prepare_cached(
            "DELETE FROM jobs WHERE seq IN (
                 SELECT seq FROM jobs
                 WHERE finished_at <= :before AND status <> 'succeeded' AND input_held = 0 AND output_attempt IS NULL
                     AND NOT EXISTS (SELECT 1 FROM hooks WHERE subject IN (jobs.id, jobs.batch) AND ended IS NULL)
                     AND NOT EXISTS (SELECT 1 FROM batches WHERE id = jobs.batch AND open > 0)
                 LIMIT 1000)",
        )?
        .execute(named_params! { ":before": millis(now).saturating_sub(kept) })? as u64;
    connection
        .prepare_cached("DELETE FROM quota WHERE day < :day")?
        .execute(named_params! { ":day": UtcDay::of(now).0 - 1 })?;
    idempotency::expire(connection, now)?;
    // An idle client whose turn lies in the past is the same as one never seen.
    connection
        .prepare_cached(
            "DELETE FROM clients WHERE ready = 0 AND vstart <= (SELECT virtual_now FROM service)
                 AND NOT EXISTS (SELECT 1 FROM jobs WHERE jobs.client = clients.client AND finished_at IS NULL)",
        )?
        .execute([])?;
    Ok(reaped)
}

/// Queues again, or fails, the jobs whose worker was not heard of for longer than its lease.
pub fn reclaim(
    connection: &Connection,
    effects: &mut Effects,
    policy: &Policy,
    now: Timestamp,
) -> Result<Reaped, StoreError> {
    let mut reaped = Reaped::default();
    for mut row in select(connection, "lease_until <= :at", now)? {
        let to = if row.record.cancel_requested {
            Status::Canceled
        } else if row.record.attempt >= policy.max_attempts {
            Status::Failed
        } else {
            Status::Queued
        };
        match to {
            Status::Failed => {
                let message = "Every attempt at this job ended with its worker gone; its unit was refunded.";
                fail(connection, &mut row, now, JobError::new(ErrorCode::Poison, message))?;
                reaped.poisoned += 1;
            }
            to => {
                row.record.status = row.record.status.transition(to).map_err(|error| StoreError(error.to_string()))?;
                row.record.finished_at = to.is_terminal().then_some(now);
                row.record.progress = 0.0;
                reaped.requeued += u64::from(to == Status::Queued);
            }
        }
        save(connection, &row)?;
        effects.changed(&row.record);
        effects.work_available = true;
    }
    Ok(reaped)
}

fn select(connection: &Connection, condition: &str, at: Timestamp) -> rusqlite::Result<Vec<JobRow>> {
    connection
        .prepare_cached(&format!("SELECT * FROM jobs WHERE {condition} LIMIT 1000"))?
        .query_map(named_params! { ":at": millis(at) }, read_job)?
        .collect()
}

pub fn garbage(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<BlobKey>> {
    let mut keys = connection
        .prepare_cached("SELECT id FROM jobs WHERE input_held = 1 AND finished_at IS NOT NULL ORDER BY seq LIMIT :n")?
        .query_map(named_params! { ":n": limit }, |row| row.get(0).map(BlobKey::Input))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let outputs = connection
        .prepare_cached(
            "SELECT id, output_attempt FROM jobs WHERE output_attempt IS NOT NULL AND status <> 'succeeded'
             ORDER BY seq LIMIT :n",
        )?
        .query_map(named_params! { ":n": limit }, |row| Ok(BlobKey::Output(row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    keys.extend(outputs);
    Ok(keys)
}

pub fn collected(connection: &Connection, gone: &[BlobKey]) -> rusqlite::Result<()> {
    for key in gone {
        let column = match key {
            BlobKey::Input(_) => "input_held = 0",
            BlobKey::Output(..) => "output_attempt = NULL",
        };
        connection
            .prepare_cached(&format!("UPDATE jobs SET {column} WHERE id = :id"))?
            .execute(named_params! { ":id": key.job() })?;
    }
    Ok(())
}
