//! Submit: quota, rows and the client's place in the fair queue, in one step.

use jiff::Timestamp;
use rusqlite::{Connection, named_params};

use super::quota::{charge, used};
use super::rows::{Json, millis};
use super::writer::Effects;
use super::{batch, hooks, idempotency};
use crate::client::ClientKey;
use crate::job::{BatchId, JobRecord, Status};
use crate::quota::{Quota, UtcDay};
use crate::store::{NewJob, NewJobs, Policy, SubmitError, Submitted};
use crate::webhook::delivery::Subject;

pub fn submit(
    connection: &Connection,
    effects: &mut Effects,
    policy: &Policy,
    now: Timestamp,
    new: NewJobs,
) -> Result<Submitted, SubmitError> {
    let asked = new.units();
    let used = used(connection, new.client, UtcDay::of(now))?;
    if let Some(same) = &new.idempotency
        && let Some(jobs) = idempotency::known(connection, new.client, same, now)?
    {
        return Ok(Submitted { jobs, quota: Quota::new(used, policy.daily_limit, now), replayed: true });
    }
    if used + asked > policy.daily_limit {
        return Err(SubmitError::QuotaExceeded(Quota::new(used, policy.daily_limit, now)));
    }
    let waiting = count(connection, Status::Queued)?;
    if waiting + asked > policy.max_queue {
        return Err(SubmitError::QueueFull { waiting, limit: policy.max_queue });
    }
    if waiting == 0 && count(connection, Status::Processing)? == 0 {
        settle_turns(connection)?;
    }
    charge(connection, new.client, UtcDay::of(now), asked)?;
    activate(connection, new.client, asked)?;
    if let Some(idempotency) = &new.idempotency {
        let ids: Vec<_> = new.jobs.iter().map(|job| job.id).collect();
        idempotency::remember(connection, new.client, idempotency, (&ids, now))?;
    }
    if let Some(id) = new.batch {
        batch::insert(connection, id, new.client, asked, now)?;
    }
    let insert = |job| insert(connection, (new.client, new.batch), now, job);
    let jobs = new.jobs.into_iter().map(insert).collect::<Result<Vec<_>, _>>()?;
    if let Some(target) = &new.webhook {
        let of_job = || jobs.first().map(|job| Subject::Job(job.id));
        if let Some(subject) = new.batch.map(Subject::Batch).or_else(of_job) {
            hooks::insert(connection, subject, target, (asked == 0).then_some(now))?;
        }
    }
    effects.work_available = asked > 0;
    effects.hooks_due = asked == 0;
    Ok(Submitted { jobs, quota: Quota::new(used + asked, policy.daily_limit, now), replayed: false })
}

pub fn count(connection: &Connection, status: Status) -> rusqlite::Result<u64> {
    connection
        .prepare_cached("SELECT jobs FROM totals WHERE status = :status")?
        .query_row(named_params! { ":status": status }, |row| row.get(0))
}

/// Nobody waits, so nobody is owed a turn: virtual time moves past what everybody was served.
fn settle_turns(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE service SET virtual_now = max(virtual_now, coalesce((SELECT max(vstart) FROM clients), 0))",
        )?
        .execute([])
        .map(drop)
}

/// Counts `jobs` more as ready; a client that was idle starts at the current virtual time, or where its last job left
/// it if that is later.
fn activate(connection: &Connection, client: ClientKey, jobs: u64) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO clients (client, vstart, ready)
             VALUES (:client, (SELECT virtual_now FROM service), :jobs)
             ON CONFLICT DO UPDATE SET
                 vstart = iif(ready = 0, max(vstart, excluded.vstart), vstart),
                 ready = ready + excluded.ready",
        )?
        .execute(named_params! { ":client": client, ":jobs": jobs })
        .map(drop)
}

fn insert(
    connection: &Connection,
    (client, batch): (ClientKey, Option<BatchId>),
    now: Timestamp,
    job: NewJob,
) -> rusqlite::Result<JobRecord> {
    let cost = job.cost();
    let record = job.submitted(client, batch, now);
    connection
        .prepare_cached(
            "INSERT INTO jobs (id, client, status, params, input, cost, charged_day, created_at, finished_at, error, batch,
                 input_held)
             VALUES (:id, :client, :status, :params, :input, :cost, :day, :now, :finished, :error, :batch, :held)",
        )?
        .execute(named_params! {
            ":id": record.id,
            ":client": client,
            ":status": record.status,
            ":params": Json(&record.params),
            ":input": Json(&record.input),
            ":cost": cost,
            ":day": UtcDay::of(now).0,
            ":now": millis(now),
            ":finished": record.finished_at.map(millis),
            ":error": record.error.as_ref().map(Json),
            ":batch": batch,
            ":held": record.error.is_none(),
        })?;
    Ok(record)
}
