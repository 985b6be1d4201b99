//! Units used, by client and UTC day.

use rusqlite::{Connection, OptionalExtension, named_params};

use crate::client::ClientKey;
use crate::quota::UtcDay;

pub fn used(connection: &Connection, client: ClientKey, day: UtcDay) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT used FROM quota WHERE day = :day AND client = :client")?
        .query_row(named_params! { ":day": day.0, ":client": client }, |row| row.get(0))
        .optional()
        .map(Option::unwrap_or_default)
}

pub fn charge(connection: &Connection, client: ClientKey, day: UtcDay, units: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO quota (day, client, used) VALUES (:day, :client, :units)
             ON CONFLICT DO UPDATE SET used = used + excluded.used",
        )?
        .execute(named_params! { ":day": day.0, ":client": client, ":units": units })
        .map(drop)
}

/// Gives back one unit of the day it was charged to.
pub fn refund(connection: &Connection, client: ClientKey, day: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE quota SET used = used - 1 WHERE day = :day AND client = :client AND used > 0")?
        .execute(named_params! { ":day": day, ":client": client })
        .map(drop)
}
