//! How many jobs stand where, counted as they move, so that the queue's length costs nothing to read.

use std::collections::BTreeMap;

use remaster_shared::job::{Skill, Status};
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

/// A job that needs `skill` went from one status to another.
pub fn moved(db: &Connection, skill: Option<&Skill>, from: Status, to: Status) -> rusqlite::Result<()> {
    if from == to {
        return Ok(());
    }
    add(db, from, -1)?;
    add(db, to, 1)?;
    match (from, to) {
        (Status::Queued, _) => queued(db, skill, -1),
        (_, Status::Queued) => queued(db, skill, 1),
        _ => Ok(()),
    }
}

/// Counts `by` more queued jobs that need `skill`, or fewer when it is negative.
pub fn queued(db: &Connection, skill: Option<&Skill>, by: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO model_totals (model, queued) VALUES (:model, :by)
         ON CONFLICT DO UPDATE SET queued = queued + excluded.queued",
    )?
    .execute(named_params! { ":model": skill.map_or("", Skill::as_str), ":by": by })
    .map(drop)
}

/// Queued jobs by the upscaler that they need.
pub fn queued_by_model(db: &Connection) -> rusqlite::Result<BTreeMap<String, u64>> {
    let mut queued = BTreeMap::new();
    let mut totals = db.prepare_cached("SELECT model, queued FROM model_totals WHERE queued > 0")?;
    let mut rows = totals.query([])?;
    while let Some(row) = rows.next()? {
        let name: String = row.get(0)?;
        *queued.entry(Skill::upscaler(&name).to_owned()).or_default() += row.get::<_, u64>(1)?;
    }
    Ok(queued)
}
