//! Blobs that have no use any more: handed out for deletion, and reported as deleted.

use std::time::Duration;

use remaster_shared::blob_key::{BlobKey, OutputName};
use remaster_shared::job::{JobId, Status};
use remaster_store::GARBAGE_LEASE;
use rusqlite::{Connection, named_params};

use super::rows::{Word, millis};
use super::write::Write;

/// Inputs of jobs that ended, and outputs that are not a result.
pub const USELESS: [&str; 2] = [
    "jobs_inputs WHERE input_held = 1 AND finished_at IS NOT NULL",
    "jobs_outputs WHERE output IS NOT NULL AND status <> 'succeeded'",
];

/// Carries out [`remaster_store::Housekeeping::garbage`]. A job whose input and output are both without use is handed out as a
/// whole.
pub fn take(write: &mut Write<'_>, limit: usize) -> rusqlite::Result<Vec<BlobKey>> {
    let mut keys = Vec::new();
    for useless in USELESS {
        let room = limit.saturating_sub(keys.len());
        let mut due = write.db.prepare_cached(&format!(
            "UPDATE jobs SET garbage_due = :until WHERE seq IN (
                 SELECT seq FROM jobs INDEXED BY {useless} AND garbage_due <= :now ORDER BY garbage_due LIMIT :room)
             RETURNING id, status, input_held, output"
        ))?;
        let until = millis(write.now) + GARBAGE_LEASE.as_millis() as i64;
        let values = named_params! { ":until": until, ":now": millis(write.now), ":room": room };
        let taken = due.query_map(values, |row| {
            let output: Option<Word<OutputName>> = row.get(3)?;
            Ok((JobId(row.get(0)?), row.get::<_, Word<Status>>(1)?.0, row.get::<_, bool>(2)?, output))
        })?;
        for taken in taken {
            let (job, status, input_held, output) = taken?;
            keys.extend(input_held.then_some(BlobKey::Input(job)));
            let output = output.filter(|_| status != Status::Succeeded);
            keys.extend(output.map(|name| BlobKey::Output(job, name.0)));
        }
    }
    Ok(keys)
}

/// Carries out [`remaster_store::Housekeeping::collected`].
pub fn collected(db: &Connection, gone: &[BlobKey]) -> rusqlite::Result<()> {
    for key in gone {
        let column = match key {
            BlobKey::Input(_) => "input_held = 0",
            BlobKey::Output(..) => "output = NULL",
        };
        db.prepare_cached(&format!("UPDATE jobs SET {column} WHERE id = :id"))?
            .execute(named_params! { ":id": key.job().0 })?;
    }
    Ok(())
}

/// Carries out [`remaster_store::Housekeeping::takes_sweep`]. A time in the future was written before the clock was set back.
pub fn takes_sweep(write: &mut Write<'_>, every: Duration) -> rusqlite::Result<bool> {
    let now = millis(write.now);
    let taken = write
        .db
        .prepare_cached("UPDATE service SET swept_at = :now WHERE swept_at <= :before OR swept_at > :now")?
        .execute(named_params! { ":now": now, ":before": now - every.as_millis() as i64 })?;
    Ok(taken > 0)
}

/// Carries out [`remaster_store::Housekeeping::unused`]. An input is a job's for as long as the job is remembered, for until then
/// [`take`] names it.
pub fn unused(db: &Connection, keys: Vec<BlobKey>) -> rusqlite::Result<Vec<BlobKey>> {
    let mut lookup = db.prepare_cached(
        "SELECT 1 FROM jobs WHERE id = :id AND (:output IS NULL OR output = :output OR finished_at IS NULL)",
    )?;
    let mut orphans = Vec::new();
    for key in keys {
        let output = match key {
            BlobKey::Input(_) => None,
            BlobKey::Output(_, name) => Some(name.to_string()),
        };
        if !lookup.exists(named_params! { ":id": key.job().0, ":output": output })? {
            orphans.push(key);
        }
    }
    Ok(orphans)
}
