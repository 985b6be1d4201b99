//! By which recipe results are made.

use jiff::Timestamp;
use remaster_shared::client::ClientKey;
use remaster_shared::job::{JobId, JobRecord, Status};
use remaster_shared::recipe::Recipe;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::rows::{self, millis};
use super::write::Write;

/// Carries out [`remaster_store::WorkQueue::note_recipe`].
pub fn note(write: &Write<'_>, (client, job): (ClientKey, JobId), recipe: Recipe) -> rusqlite::Result<()> {
    write
        .db
        .prepare_cached(
            "INSERT OR REPLACE INTO recipes (client, recipe, job, noted_at) VALUES (:client, :recipe, :job, :now)",
        )?
        .execute(named_params! {
            ":client": client.0,
            ":recipe": recipe.0,
            ":job": job.0,
            ":now": millis(write.now),
        })
        .map(drop)
}

/// Carries out [`remaster_store::WorkQueue::made_by`].
pub fn made_by(
    db: &Connection,
    client: ClientKey,
    recipe: Recipe,
    now: Timestamp,
) -> rusqlite::Result<Option<JobRecord>> {
    let noted: Option<JobId> = db
        .prepare_cached("SELECT job FROM recipes WHERE client = :client AND recipe = :recipe")?
        .query_row(named_params! { ":client": client.0, ":recipe": recipe.0 }, |row| row.get(0).map(JobId))
        .optional()?;
    let Some(job) = noted else { return Ok(None) };
    let job = rows::job(db, job)?.map(|row| row.record);
    Ok(job.filter(|job| job.status == Status::Succeeded && job.expires_at > Some(now)))
}

/// Forgets those whose results have expired.
pub fn expire(write: &Write<'_>) -> rusqlite::Result<()> {
    let kept = write.policy.result_ttl.as_millis() as i64;
    write
        .db
        .prepare_cached("DELETE FROM recipes WHERE noted_at <= :before")?
        .execute(named_params! { ":before": millis(write.now).saturating_sub(kept) })
        .map(drop)
}
