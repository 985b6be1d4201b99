//! By which recipe results are made.

use jiff::Timestamp;
use remaster_shared::blob_key::OutputName;
use remaster_shared::client::ClientKey;
use remaster_shared::job::{JobId, JobRecord, Status};
use remaster_shared::recipe::Recipe;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::rows::{self, millis};
use super::write::Write;

/// Rows deleted in one call, so that none takes long.
const STEP: usize = 1000;

/// Carries out [`remaster_store::WorkQueue::note_recipe`].
pub fn note(
    write: &Write<'_>,
    client: ClientKey,
    (job, output): (JobId, OutputName),
    recipe: Recipe,
) -> rusqlite::Result<()> {
    write
        .db
        .prepare_cached(
            "INSERT OR REPLACE INTO recipes (client, recipe, job, output, noted_at)
                 VALUES (:client, :recipe, :job, :output, :now)",
        )?
        .execute(named_params! {
            ":client": client.0,
            ":recipe": recipe.0,
            ":job": job.0,
            ":output": output.to_string(),
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
    let noted: Option<(JobId, String)> = db
        .prepare_cached("SELECT job, output FROM recipes WHERE client = :client AND recipe = :recipe")?
        .query_row(named_params! { ":client": client.0, ":recipe": recipe.0 }, |row| {
            Ok((JobId(row.get(0)?), row.get(1)?))
        })
        .optional()?;
    let Some((job, output)) = noted else { return Ok(None) };
    let job = rows::job(db, job)?.map(|row| row.record);
    let is_kept = |job: &JobRecord| {
        job.status == Status::Succeeded
            && job.output.is_some_and(|name| name.to_string() == output)
            && job.expires_at > Some(now)
    };
    Ok(job.filter(is_kept))
}

/// Forgets those whose results have expired.
pub fn expire(write: &Write<'_>) -> rusqlite::Result<()> {
    let kept = write.policy.result_ttl.as_millis() as i64;
    write
        .db
        .prepare_cached(&format!(
            "DELETE FROM recipes WHERE (client, recipe) IN
                 (SELECT client, recipe FROM recipes WHERE noted_at <= :before LIMIT {STEP})"
        ))?
        .execute(named_params! { ":before": millis(write.now).saturating_sub(kept) })
        .map(drop)
}
