//! How many jobs stand where, counted as they move, so that the queue's length costs nothing to read.

use std::collections::BTreeMap;

use remaster_shared::job::{ModelId, Status};
use rusqlite::{Connection, named_params};

/// Jobs that have this status.
pub fn count(db: &Connection, status: Status) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT jobs FROM totals WHERE status = :status")?
        .query_row(named_params! { ":status": status.as_str() }, |row| row.get(0))
}

/// Counts `by` more jobs of this status, or fewer when it is negative.
pub fn add(db: &Connection, status: Status, by: i64) -> rusqlite::Result<()> {
    if by == 0 {
        return Ok(());
    }
    db.prepare_cached("UPDATE totals SET jobs = jobs + :by WHERE status = :status")?
        .execute(named_params! { ":by": by, ":status": status.as_str() })
        .map(drop)
}

/// A job that needs `model` went from one status to another.
pub fn moved(db: &Connection, model: Option<&ModelId>, from: Status, to: Status) -> rusqlite::Result<()> {
    if from == to {
        return Ok(());
    }
    add(db, from, -1)?;
    add(db, to, 1)?;
    match (from, to) {
        (Status::Queued, _) => queued(db, model, -1),
        (_, Status::Queued) => queued(db, model, 1),
        _ => Ok(()),
    }
}

/// Counts `by` more queued jobs that need `model`, or fewer when it is negative.
pub fn queued(db: &Connection, model: Option<&ModelId>, by: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO model_totals (model, queued) VALUES (:model, :by)
         ON CONFLICT DO UPDATE SET queued = queued + excluded.queued",
    )?
    .execute(named_params! { ":model": model.map_or("", ModelId::as_str), ":by": by })
    .map(drop)
}

/// Queued jobs by the model that they need.
pub fn queued_by_model(db: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    db.prepare_cached("SELECT model, queued FROM model_totals WHERE queued > 0")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
