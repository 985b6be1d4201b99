//! Units used, by client and UTC day.

use remaster_shared::client::ClientKey;
use remaster_shared::quota::UtcDay;
use rusqlite::{Connection, OptionalExtension, named_params};

/// Units that the client has used on that day.
pub fn used(db: &Connection, client: ClientKey, day: UtcDay) -> rusqlite::Result<u64> {
    db.prepare_cached("SELECT used FROM quota WHERE day = :day AND client = :client")?
        .query_row(named_params! { ":day": day.0, ":client": client.0 }, |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

/// Charges the client.
pub fn charge(db: &Connection, client: ClientKey, day: UtcDay, units: u64) -> rusqlite::Result<()> {
    if units == 0 {
        return Ok(());
    }
    let used: u64 = db
        .prepare_cached(
            "INSERT INTO quota (day, client, used) VALUES (:day, :client, :units)
             ON CONFLICT DO UPDATE SET used = used + excluded.used RETURNING used",
        )?
        .query_row(named_params! { ":day": day.0, ":client": client.0, ":units": units }, |row| row.get(0))?;
    count(db, day.0, i64::from(used == units), units as i64)
}

/// Gives back one unit of the day (in days since the epoch) to which it was charged.
pub fn refund(db: &Connection, client: ClientKey, day: i64) -> rusqlite::Result<()> {
    let used: Option<u64> = db
        .prepare_cached(
            "UPDATE quota SET used = used - 1 WHERE day = :day AND client = :client AND used > 0 RETURNING used",
        )?
        .query_row(named_params! { ":day": day, ":client": client.0 }, |row| row.get(0))
        .optional()?;
    match used {
        Some(left) => count(db, day, -i64::from(left == 0), -1),
        None => Ok(()),
    }
}

/// Sets what the client has used on that day.
pub fn set(db: &Connection, client: ClientKey, day: UtcDay, used: u64) -> rusqlite::Result<()> {
    let before = self::used(db, client, day)?;
    db.prepare_cached(
        "INSERT INTO quota (day, client, used) VALUES (:day, :client, :used) ON CONFLICT DO UPDATE SET used = excluded.used",
    )?
    .execute(named_params! { ":day": day.0, ":client": client.0, ":used": used })?;
    count(db, day.0, i64::from(used > 0) - i64::from(before > 0), used as i64 - before as i64)
}

/// Clients that used a unit on that day, and the units that they used.
pub fn of_day(db: &Connection, day: UtcDay) -> rusqlite::Result<(u64, u64)> {
    db.prepare_cached("SELECT clients, used FROM days WHERE day = :day")?
        .query_row(named_params! { ":day": day.0 }, |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()
        .map(Option::unwrap_or_default)
}

fn count(db: &Connection, day: i64, clients: i64, units: i64) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO days (day, clients, used) VALUES (:day, :clients, :units)
         ON CONFLICT DO UPDATE SET clients = clients + excluded.clients, used = used + excluded.used",
    )?
    .execute(named_params! { ":day": day, ":clients": clients, ":units": units })
    .map(drop)
}

/// Forgets the days before yesterday.
pub fn forget_before(db: &Connection, today: UtcDay) -> rusqlite::Result<()> {
    for table in ["quota", "days"] {
        db.prepare_cached(&format!("DELETE FROM {table} WHERE day < :day"))?
            .execute(named_params! { ":day": today.0 - 1 })?;
    }
    Ok(())
}
