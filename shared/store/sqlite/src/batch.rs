//! Batches: who belongs together, and how many of them have not ended.

use jiff::Timestamp;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::from_millis;
use remaster_shared::job::{BatchId, BatchRecord, JobRecord};
use rusqlite::{Connection, OptionalExtension, named_params};

use super::hooks;
use super::rows::{millis, read_job};
use super::write::Write;

/// Makes the batch; `open` of its jobs have not ended.
pub fn insert(db: &Connection, id: BatchId, client: ClientKey, open: u64, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO batches (id, client, open, created_at) VALUES (:id, :client, :open, :now)")?
        .execute(named_params! { ":id": id.0, ":client": client.0, ":open": open, ":now": millis(now) })
        .map(drop)
}

/// One of its jobs has ended. With the last one its webhook becomes due.
pub fn one_ended(write: &mut Write<'_>, id: BatchId) -> rusqlite::Result<()> {
    let open: Option<i64> = write
        .db
        .prepare_cached("UPDATE batches SET open = open - 1 WHERE id = :id RETURNING open")?
        .query_row(named_params! { ":id": id.0 }, |row| row.get(0))
        .optional()?;
    if open == Some(0) { hooks::arm(write, id.0) } else { Ok(()) }
}

/// One of its jobs had ended and is open again.
pub fn one_reopened(write: &mut Write<'_>, id: BatchId) -> rusqlite::Result<()> {
    write
        .db
        .prepare_cached("UPDATE batches SET open = open + 1 WHERE id = :id")?
        .execute(named_params! { ":id": id.0 })?;
    hooks::rearm(write.db, id.0)
}

/// The batch with its jobs, in the order in which they were sent.
pub fn read(db: &Connection, id: BatchId) -> rusqlite::Result<Option<BatchRecord>> {
    let batch: Option<([u8; 16], bool, i64)> = db
        .prepare_cached("SELECT client, cancel_requested, created_at FROM batches WHERE id = :id")?
        .query_row(named_params! { ":id": id.0 }, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((client, cancel_requested, created_at)) = batch else { return Ok(None) };
    Ok(Some(BatchRecord {
        id,
        client: ClientKey(client),
        created_at: from_millis(created_at),
        cancel_requested,
        jobs: jobs(db, id)?,
        webhook: hooks::delivery(db, id.0)?,
    }))
}

fn jobs(db: &Connection, id: BatchId) -> rusqlite::Result<Vec<JobRecord>> {
    db.prepare_cached("SELECT * FROM jobs WHERE batch = :id ORDER BY seq")?
        .query_map(named_params! { ":id": id.0 }, |row| read_job(row).map(|job| job.record))?
        .collect()
}

/// Forgets the batch, and its webhook, once none of its jobs is remembered.
pub fn forget_if_empty(db: &Connection, id: BatchId) -> rusqlite::Result<()> {
    let gone = db
        .prepare_cached("DELETE FROM batches WHERE id = :id AND NOT EXISTS (SELECT 1 FROM jobs WHERE batch = :id)")?
        .execute(named_params! { ":id": id.0 })?;
    if gone > 0 { hooks::forget(db, id.0) } else { Ok(()) }
}
