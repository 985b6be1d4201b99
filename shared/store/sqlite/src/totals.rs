//! How many jobs stand where, counted as they move, so that the queue's length costs nothing to read.

use remaster_shared::job::Status;
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

/// A job went from one status to another.
pub fn moved(db: &Connection, from: Status, to: Status) -> rusqlite::Result<()> {
    if from == to {
        return Ok(());
    }
    add(db, from, -1)?;
    add(db, to, 1)
}
