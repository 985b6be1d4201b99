//! Housekeeping: leases that ran out, results that expired, records that were kept long enough.

use jiff::Timestamp;
use remaster_shared::job::{BatchId, JobId, Status};
use remaster_shared::quota::UtcDay;
use remaster_store::rules::job::Event;
use remaster_store::{Reaped, StoreError};
use rusqlite::{Connection, named_params};

use super::apply::apply;
use super::rows::{JobRow, Word, millis, read_job};
use super::write::{Failure, Write, Written};
use super::{batch, hooks, idempotency, lease, line, quota, recipes, totals};

/// Jobs handled in one call, so that none takes long.
const STEP: usize = 1000;

/// Carries out [`remaster_store::Housekeeping::reap`].
pub fn reap(write: &mut Write<'_>) -> Written<Reaped, StoreError> {
    lease::spare(write)?;
    let mut reaped = reclaim(write)?;
    for mut row in due(write.db, "jobs_expiry WHERE status = 'succeeded' AND expires_at <= :at", write.now)? {
        apply(write, &mut row, Event::ResultExpired).map_err(Failure::unexpected)?;
        reaped.expired += 1;
    }
    reaped.forgotten = forget(write)?;
    reaped.more =
        [reaped.requeued + reaped.poisoned, reaped.expired, reaped.forgotten].iter().any(|n| *n >= STEP as u64);
    quota::forget_before(write.db, UtcDay::of(write.now))?;
    idempotency::expire(write.db, write.now)?;
    recipes::expire(write)?;
    line::forget_idle(write.db)?;
    Ok(reaped)
}

/// Queues again, or fails, the jobs whose worker was not heard of for longer than its lease.
pub fn reclaim(write: &mut Write<'_>) -> Written<Reaped, StoreError> {
    let mut reaped = Reaped::default();
    for mut row in due(write.db, "jobs_leased WHERE lease_until <= :at", write.now)? {
        apply(write, &mut row, Event::LeaseExpired).map_err(Failure::unexpected)?;
        match row.record.status {
            Status::Queued => reaped.requeued += 1,
            Status::Failed => reaped.poisoned += 1,
            _ => {}
        }
        write.news.work_available = true;
    }
    if reaped != Reaped::default() {
        write
            .db
            .prepare_cached("UPDATE service SET reclaimed = reclaimed + :requeued, poisoned = poisoned + :poisoned")?
            .execute(named_params! { ":requeued": reaped.requeued, ":poisoned": reaped.poisoned })?;
    }
    Ok(reaped)
}

/// The jobs of an index whose time has come by `at`, in the order of their arrival. The index is named, because the database would
/// rather walk through all jobs in that order.
pub fn due(db: &Connection, index: &str, at: Timestamp) -> rusqlite::Result<Vec<JobRow>> {
    let due = format!("SELECT seq FROM jobs INDEXED BY {index} LIMIT {STEP}");
    db.prepare_cached(&format!("SELECT * FROM jobs WHERE seq IN ({due}) ORDER BY seq"))?
        .query_map(named_params! { ":at": millis(at) }, read_job)?
        .collect()
}

/// Deletes records that were kept long enough. A record is deleted only when its pictures are deleted, its webhook and that of
/// its batch have ended, and its batch has ended, because only the record holds that information.
fn forget(write: &Write<'_>) -> rusqlite::Result<u64> {
    let kept = (write.policy.result_ttl + write.policy.record_ttl).as_millis() as i64;
    let gone: Vec<(JobId, Status, Option<BatchId>)> = write
        .db
        .prepare_cached(&format!(
            "DELETE FROM jobs WHERE seq IN (
                 SELECT seq FROM jobs
                 WHERE finished_at <= :before AND status <> 'succeeded' AND input_held = 0 AND output IS NULL
                     AND NOT EXISTS (SELECT 1 FROM hooks WHERE subject IN (jobs.id, jobs.batch) AND ended IS NULL)
                     AND NOT EXISTS (SELECT 1 FROM batches WHERE id = jobs.batch AND open > 0)
                 LIMIT {STEP})
             RETURNING id, status, batch"
        ))?
        .query_map(named_params! { ":before": millis(write.now).saturating_sub(kept) }, |row| {
            Ok((JobId(row.get(0)?), row.get::<_, Word<_>>(1)?.0, row.get::<_, Option<_>>(2)?.map(BatchId)))
        })?
        .collect::<rusqlite::Result<_>>()?;
    for (id, status, batch) in &gone {
        totals::add(write.db, *status, -1)?;
        hooks::forget(write.db, id.0)?;
        if let Some(batch) = batch {
            batch::forget_if_empty(write.db, *batch)?;
        }
    }
    Ok(gone.len() as u64)
}
