//! Claim: whose turn it is, and the lease on its oldest job.

use std::time::Duration;

use jiff::Timestamp;
use remaster_store::rules::job::Event;
use remaster_store::{Claim, Lease, StoreError};
use rusqlite::{Connection, named_params};

use super::apply::apply;
use super::line;
use super::reap::reclaim;
use super::rows::{millis, read_job};
use super::write::{Failure, Write, Written};

/// Carries out [`remaster_store::WorkQueue::claim`].
pub fn claim(write: &mut Write<'_>, worker: &str) -> Written<Claim, StoreError> {
    promote(write)?;
    reclaim(write)?;
    let Some(mut row) = line::next(write.db)? else {
        return Ok(Claim::Nothing { next: next_event(write.db, write.now)? });
    };
    apply(write, &mut row, Event::Claimed, Some(worker)).map_err(Failure::unexpected)?;
    let lease = Lease { job: row.record.id, attempt: row.record.attempt, token: row.token, worker: worker.to_owned() };
    // Another job may be waiting for another worker, whose wake-up this claim took.
    write.news.work_available = true;
    Ok(Claim::Job(Box::new(row.record), lease))
}

/// Retries that have become due join their client's line again, in their old place.
fn promote(write: &mut Write<'_>) -> rusqlite::Result<()> {
    let due = write
        .db
        .prepare_cached("SELECT * FROM jobs WHERE not_before <= :now ORDER BY seq LIMIT 1000")?
        .query_map(named_params! { ":now": millis(write.now) }, read_job)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for row in due {
        write
            .db
            .prepare_cached("UPDATE jobs SET not_before = NULL WHERE seq = :seq")?
            .execute(named_params! { ":seq": row.seq })?;
        line::join(write, row.record.client, 1)?;
    }
    Ok(())
}

fn next_event(db: &Connection, now: Timestamp) -> rusqlite::Result<Option<Duration>> {
    let at: Option<i64> = db
        .prepare_cached(
            "SELECT min(at) FROM (
                 SELECT min(not_before) AS at FROM jobs WHERE not_before IS NOT NULL
                 UNION ALL
                 SELECT min(lease_until) FROM jobs WHERE lease_until IS NOT NULL)",
        )?
        .query_row([], |row| row.get(0))?;
    Ok(at.map(|at| Duration::from_millis((at - millis(now)).max(0) as u64)))
}
