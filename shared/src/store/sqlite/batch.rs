//! Batches: jobs that are looked at, and canceled, together.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::rows::{millis, read_job};
use super::writer::Effects;
use super::{hooks, settle};
use crate::client::ClientKey;
use crate::clock::from_millis;
use crate::job::{BatchId, BatchRecord, JobRecord};
use crate::store::CancelError;

/// Makes the batch; `open` of its jobs have not ended.
pub fn insert(
    connection: &Connection,
    id: BatchId,
    client: ClientKey,
    open: u64,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO batches (id, client, open, created_at) VALUES (:id, :client, :open, :now)")?
        .execute(named_params! { ":id": id, ":client": client, ":open": open, ":now": millis(now) })
        .map(drop)
}

pub fn read(connection: &Connection, id: BatchId) -> rusqlite::Result<Option<BatchRecord>> {
    let batch: Option<(ClientKey, bool, i64)> = connection
        .prepare_cached("SELECT client, cancel_requested, created_at FROM batches WHERE id = :id")?
        .query_row(named_params! { ":id": id }, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((client, cancel_requested, created_at)) = batch else { return Ok(None) };
    let webhook = hooks::delivery(connection, id.0)?;
    let created_at = from_millis(created_at);
    Ok(Some(BatchRecord { id, client, created_at, cancel_requested, jobs: jobs(connection, id)?, webhook }))
}

fn jobs(connection: &Connection, id: BatchId) -> rusqlite::Result<Vec<JobRecord>> {
    connection
        .prepare_cached("SELECT * FROM jobs WHERE batch = :id ORDER BY seq")?
        .query_map(named_params! { ":id": id }, |row| read_job(row).map(|job| job.record))?
        .collect()
}

pub fn cancel(
    connection: &Connection,
    effects: &mut Effects,
    now: Timestamp,
    id: BatchId,
) -> Result<BatchRecord, CancelError> {
    let batch = read(connection, id)?.ok_or(CancelError::NotFound)?;
    if batch.finished_at().is_some() {
        return Err(CancelError::AlreadyFinished(batch.status().as_str()));
    }
    connection
        .prepare_cached("UPDATE batches SET cancel_requested = 1 WHERE id = :id")?
        .execute(named_params! { ":id": id })?;
    for job in batch.jobs.iter().filter(|job| !job.status.is_terminal()) {
        settle::cancel(connection, effects, now, job.id)?;
    }
    effects.changed.insert(id.0);
    read(connection, id)?.ok_or(CancelError::NotFound)
}
