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
    db.prepare_cached(
        "INSERT INTO quota (day, client, used) VALUES (:day, :client, :units)
         ON CONFLICT DO UPDATE SET used = used + excluded.used",
    )?
    .execute(named_params! { ":day": day.0, ":client": client.0, ":units": units })
    .map(drop)
}

/// Gives back one unit of the day (in days since the epoch) to which it was charged.
pub fn refund(db: &Connection, client: ClientKey, day: i64) -> rusqlite::Result<()> {
    db.prepare_cached("UPDATE quota SET used = used - 1 WHERE day = :day AND client = :client AND used > 0")?
        .execute(named_params! { ":day": day, ":client": client.0 })
        .map(drop)
}

/// Forgets the days before yesterday.
pub fn forget_before(db: &Connection, today: UtcDay) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM quota WHERE day < :day")?.execute(named_params! { ":day": today.0 - 1 }).map(drop)
}
