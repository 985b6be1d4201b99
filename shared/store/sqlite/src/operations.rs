//! What operators do by hand: carries out [`remaster_store::Operations`].

use std::collections::BTreeSet;

use jiff::Timestamp;
use remaster_shared::client::ClientKey;
use remaster_shared::job::{JobId, JobRecord};
use remaster_shared::quota::{Quota, UtcDay};
use remaster_shared::stats::QueueGauges;
use remaster_store::rules::job::Event;
use remaster_store::{JobList, RequeueError, StoreError};
use rusqlite::{Connection, named_params};

use super::apply::apply;
use super::rows::{self, millis, read_job};
use super::write::{Failure, Write, Written};
use super::{cancel, garbage, quota, totals};

/// Jobs that one call of `purge` cancels.
const STEP: usize = 1000;

/// How far garbage and webhooks are counted.
const COUNTED: u64 = 10_000;

pub fn gauges(db: &Connection, now: Timestamp) -> rusqlite::Result<QueueGauges> {
    let count = |rows: &str| -> rusqlite::Result<u64> {
        db.prepare_cached(&format!("SELECT count(*) FROM (SELECT 1 FROM {rows} LIMIT {COUNTED})"))?
            .query_row(named_params! { ":now": millis(now) }, |row| row.get(0))
    };
    let mut garbage = 0;
    for useless in garbage::USELESS {
        garbage += count(&format!("jobs INDEXED BY {useless} AND garbage_due <= :now"))?;
    }
    let (reclaimed, poisoned) = db
        .prepare_cached("SELECT reclaimed, poisoned FROM service")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    Ok(QueueGauges {
        oldest: list(db, JobList::Waiting, 1)?.first().map(|job| job.created_at),
        queued_by_model: totals::queued_by_model(db)?,
        garbage,
        webhooks: count("hooks INDEXED BY hooks_due WHERE due IS NOT NULL AND due <= :now")?,
        reclaimed,
        poisoned,
        // A row is there, or it is not listed.
        lost: 0,
    })
}

pub fn is_paused(db: &Connection) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT paused FROM service")?.query_row([], |row| row.get(0))
}

pub fn set_paused(write: &mut Write<'_>, paused: bool) -> rusqlite::Result<()> {
    write.db.prepare_cached("UPDATE service SET paused = :paused")?.execute(named_params! { ":paused": paused })?;
    write.news.work_available |= !paused;
    Ok(())
}

pub fn drained(db: &Connection) -> rusqlite::Result<BTreeSet<String>> {
    db.prepare_cached("SELECT worker FROM drained")?.query_map([], |row| row.get(0))?.collect()
}

pub fn set_drained(write: &mut Write<'_>, worker: &str, drained: bool) -> rusqlite::Result<()> {
    let change = match drained {
        true => "INSERT OR IGNORE INTO drained (worker) VALUES (:worker)",
        false => "DELETE FROM drained WHERE worker = :worker",
    };
    write.db.prepare_cached(change)?.execute(named_params! { ":worker": worker })?;
    write.news.work_available |= !drained;
    Ok(())
}

/// Whether an operator keeps this worker from being given jobs.
pub fn holds_back(db: &Connection, worker: &str) -> rusqlite::Result<bool> {
    db.prepare_cached("SELECT paused OR EXISTS (SELECT 1 FROM drained WHERE worker = :worker) FROM service")?
        .query_row(named_params! { ":worker": worker }, |row| row.get(0))
}

pub fn list(db: &Connection, list: JobList, limit: usize) -> rusqlite::Result<Vec<JobRecord>> {
    let (jobs, code) = match list {
        JobList::Failed(code) => (
            "jobs WHERE status = 'failed' AND (:code IS NULL OR json_extract(error, '$.code') = :code)
             ORDER BY finished_at DESC, seq DESC",
            code,
        ),
        JobList::Processing => ("jobs WHERE lease_until IS NOT NULL AND :code IS NULL ORDER BY lease_until", None),
        JobList::Waiting => (
            "(SELECT client, head_since FROM clients WHERE ready > 0 ORDER BY head_since LIMIT :limit) AS waiting
             JOIN jobs ON seq = (SELECT seq FROM jobs WHERE jobs.client = waiting.client AND status = 'queued'
                 AND not_before IS NULL ORDER BY seq LIMIT 1)
             WHERE :code IS NULL ORDER BY head_since",
            None,
        ),
    };
    db.prepare_cached(&format!("SELECT jobs.* FROM {jobs} LIMIT :limit"))?
        .query_map(named_params! { ":code": code.map(|code| code.as_str()), ":limit": limit }, |row| {
            read_job(row).map(|row| row.record)
        })?
        .collect()
}

pub fn requeue(write: &mut Write<'_>, job: JobId) -> Written<JobRecord, RequeueError> {
    let mut row = rows::job(write.db, job)?.ok_or(Failure::Refused(RequeueError::NotFound))?;
    // The time of the failure decides too: `input_held` stays 1 while an input that was handed out for deletion is not gone.
    let input_kept = write
        .db
        .prepare_cached("SELECT 1 FROM jobs WHERE seq = :seq AND input_held = 1 AND finished_at + :kept > :now")?
        .exists(named_params! {
            ":seq": row.seq,
            ":kept": write.policy.result_ttl.as_millis() as i64,
            ":now": millis(write.now),
        })?;
    match apply(write, &mut row, Event::Requeued { input_kept }) {
        Ok(()) => Ok(row.record),
        Err(Failure::Refused(refused)) => Err(Failure::Refused(RequeueError::Refused(refused))),
        Err(Failure::Database(error)) => Err(Failure::Database(error)),
    }
}

pub fn purge(write: &mut Write<'_>, client: ClientKey) -> Written<u64, StoreError> {
    let waiting: Vec<JobId> = write
        .db
        .prepare_cached(
            "SELECT id FROM jobs WHERE client = :client AND status = 'queued' AND finished_at IS NULL LIMIT :n",
        )?
        .query_map(named_params! { ":client": client.0, ":n": STEP }, |row| row.get(0).map(JobId))?
        .collect::<rusqlite::Result<_>>()?;
    for id in &waiting {
        cancel::cancel(write, *id).map_err(|failure| match failure {
            Failure::Database(error) => Failure::Database(error),
            Failure::Refused(refused) => Failure::Refused(StoreError::caused_by(refused)),
        })?;
    }
    Ok(waiting.len() as u64)
}

pub fn adjust_quota(write: &mut Write<'_>, client: ClientKey, units: i64) -> rusqlite::Result<Quota> {
    let today = UtcDay::of(write.now);
    let used = quota::used(write.db, client, today)?.saturating_add_signed(units.saturating_neg());
    quota::set(write.db, client, today, used)?;
    Ok(Quota::new(used, write.policy.daily_limit, write.now))
}
