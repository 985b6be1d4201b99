//! Keys under which a submit may come again.

use jiff::Timestamp;

use remaster_shared::client::ClientKey;
use remaster_shared::idempotency::IdempotencyKey;
use remaster_shared::job::{JobId, JobRecord};
use remaster_store::{IDEMPOTENCY_TTL, Idempotency, SubmitError};
use rusqlite::{Connection, OptionalExtension, named_params};

use super::rows::{self, Json, millis};
use super::write::{Failure, Written};

fn oldest(now: Timestamp) -> i64 {
    millis(now) - IDEMPOTENCY_TTL.as_millis() as i64
}

/// Whether the client's key is known.
pub fn knows(db: &Connection, client: ClientKey, key: &IdempotencyKey, now: Timestamp) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT 1 FROM idempotency WHERE client = :client AND key = :key AND created_at > :oldest")?
        .exists(named_params! { ":client": client.0, ":key": key.as_str(), ":oldest": oldest(now) })
}

/// The jobs that the key stands for, if it is known.
pub fn known(
    db: &Connection,
    client: ClientKey,
    same: &Idempotency,
    now: Timestamp,
) -> Written<Option<Vec<JobRecord>>, SubmitError> {
    let found: Option<([u8; 32], Json<Vec<JobId>>)> = db
        .prepare_cached(
            "SELECT fingerprint, jobs FROM idempotency WHERE client = :client AND key = :key AND created_at > :oldest",
        )?
        .query_row(named_params! { ":client": client.0, ":key": same.key.as_str(), ":oldest": oldest(now) }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((fingerprint, jobs)) = found else { return Ok(None) };
    if fingerprint != same.fingerprint.0 {
        return Err(Failure::Refused(SubmitError::KeyReused));
    }
    // Records outlive keys.
    let records = jobs.0.into_iter().filter_map(|id| rows::job(db, id).transpose());
    Ok(Some(records.map(|row| row.map(|row| row.record)).collect::<rusqlite::Result<_>>()?))
}

/// Keeps what the key stands for.
pub fn remember(
    db: &Connection,
    client: ClientKey,
    idempotency: &Idempotency,
    (jobs, now): (&[JobId], Timestamp),
) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO idempotency (client, key, fingerprint, jobs, created_at)
             VALUES (:client, :key, :fingerprint, :jobs, :now)",
    )?
    .execute(named_params! {
        ":client": client.0,
        ":key": idempotency.key.as_str(),
        ":fingerprint": idempotency.fingerprint.0,
        ":jobs": Json(&jobs),
        ":now": millis(now),
    })
    .map(drop)
}

/// Forgets what is too old to count.
pub fn expire(db: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM idempotency WHERE created_at <= :oldest")?
        .execute(named_params! { ":oldest": oldest(now) })
        .map(drop)
}
