//! Keys under which a submit may come again.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};

use super::rows::{self, Json, millis};
use crate::client::ClientKey;
use crate::idempotency::IdempotencyKey;
use crate::job::{JobId, JobRecord};
use crate::store::{IDEMPOTENCY_TTL, Idempotency, StoreError, SubmitError};

fn oldest(now: Timestamp) -> i64 {
    millis(now) - IDEMPOTENCY_TTL.as_millis() as i64
}

pub fn knows(
    connection: &Connection,
    client: ClientKey,
    key: &IdempotencyKey,
    now: Timestamp,
) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM idempotency WHERE client = :client AND key = :key AND created_at > :oldest")?
        .exists(named_params! { ":client": client, ":key": key.as_str(), ":oldest": oldest(now) })
}

/// The jobs that the key stands for, if it is known.
pub fn known(
    connection: &Connection,
    client: ClientKey,
    same: &Idempotency,
    now: Timestamp,
) -> Result<Option<Vec<JobRecord>>, SubmitError> {
    let found: Option<([u8; 32], String)> = connection
        .prepare_cached(
            "SELECT fingerprint, jobs FROM idempotency WHERE client = :client AND key = :key AND created_at > :oldest",
        )?
        .query_row(named_params! { ":client": client, ":key": same.key.as_str(), ":oldest": oldest(now) }, |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let Some((fingerprint, jobs)) = found else { return Ok(None) };
    if fingerprint != same.fingerprint.0 {
        return Err(SubmitError::KeyReused);
    }
    let ids: Vec<JobId> = serde_json::from_str(&jobs).map_err(|error| StoreError(error.to_string()))?;
    // Records outlive keys.
    let records = ids.into_iter().filter_map(|id| rows::job(connection, id).transpose());
    Ok(Some(records.map(|row| row.map(|row| row.record)).collect::<rusqlite::Result<_>>()?))
}

pub fn remember(
    connection: &Connection,
    client: ClientKey,
    idempotency: &Idempotency,
    (jobs, now): (&[JobId], Timestamp),
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO idempotency (client, key, fingerprint, jobs, created_at)
             VALUES (:client, :key, :fingerprint, :jobs, :now)",
        )?
        .execute(named_params! {
            ":client": client,
            ":key": idempotency.key.as_str(),
            ":fingerprint": idempotency.fingerprint.0,
            ":jobs": Json(&jobs),
            ":now": millis(now),
        })
        .map(drop)
}

/// Forgets what is too old to count.
pub fn expire(connection: &Connection, now: Timestamp) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM idempotency WHERE created_at <= :oldest")?
        .execute(named_params! { ":oldest": oldest(now) })
        .map(drop)
}
