//! Claim: whose turn it is, and the lease on its oldest job.

use std::time::Duration;

use jiff::Timestamp;
use remaster_store::{Claim, ClaimRequest, Lease, StoreError};
use rusqlite::{Connection, OptionalExtension, named_params};

use super::reap::{due, reclaim};
use super::rows::{JobRow, millis, read_job};
use super::write::{Failure, Write, Written};
use super::{apply, lease, line, operations};

/// Carries out [`remaster_store::WorkQueue::claim`].
pub fn claim(write: &mut Write<'_>, request: &ClaimRequest) -> Written<Claim, StoreError> {
    lease::spare(write)?;
    // The answer to the first of these requests was lost.
    if let Some(row) = held(write.db, request)? {
        return Ok(given(row, request));
    }
    if operations::holds_back(write.db, &request.worker)? {
        // What woke it may be for another worker.
        write.news.work_available = true;
        return Ok(Claim::HeldBack);
    }
    promote(write)?;
    reclaim(write)?;
    let Some(mut row) = line::next(write.db, request)? else {
        return Ok(Claim::Nothing { next: next_event(write.db, write.now)? });
    };
    apply::claim(write, &mut row, request).map_err(Failure::unexpected)?;
    // Another job may be waiting for another worker, whose wake-up this claim took.
    write.news.work_available = true;
    Ok(given(row, request))
}

fn given(row: JobRow, request: &ClaimRequest) -> Claim {
    let ClaimRequest { worker, fence, .. } = request.clone();
    let lease = Lease { job: row.record.id, attempt: row.record.attempt, fence, worker };
    Claim::Job(Box::new(row.record), lease)
}

/// The job that this very request was given before, if it is still held.
fn held(db: &Connection, request: &ClaimRequest) -> rusqlite::Result<Option<JobRow>> {
    db.prepare_cached("SELECT * FROM jobs WHERE fence = :fence AND status = 'processing'")?
        .query_row(named_params! { ":fence": request.fence.0 }, read_job)
        .optional()
}

/// Retries that have become due join their client's line again, in their old place.
fn promote(write: &mut Write<'_>) -> rusqlite::Result<()> {
    let due = due(write.db, "jobs_delayed WHERE not_before <= :at", write.now)?;
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
