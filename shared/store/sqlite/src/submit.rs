//! Submit: quota, rows and the client's place in the fair queue, in one step.

use remaster_shared::job::{JobRecord, Skill, Status};
use remaster_shared::quota::{Quota, UtcDay};
use remaster_shared::webhook::Subject;
use remaster_store::rules::admission::{self, Admission, Load};
use remaster_store::rules::price::price;
use remaster_store::{NewJobs, SubmitError, Submitted};
use rusqlite::{Connection, named_params};

use super::rows::{Json, millis};
use super::write::{Failure, Write, Written};
use super::{batch, hooks, idempotency, line, quota, totals};

/// Carries out [`remaster_store::Submissions::submit`].
pub fn submit(write: &mut Write<'_>, new: NewJobs) -> Written<Submitted, SubmitError> {
    let Write { db, policy, now, .. } = *write;
    let today = UtcDay::of(now);
    let units = new.units();
    let used = quota::used(db, new.client, today)?;
    let after = |used| Quota::new(used, policy.daily_limit, now);
    if let Some(same) = &new.idempotency
        && let Some(jobs) = idempotency::known(db, new.client, same, now)?
    {
        return Ok(Submitted { jobs, quota: after(used), replayed: true });
    }
    let waiting = totals::count(db, Status::Queued)?;
    match admission::decide(policy, Load { used, waiting }, units) {
        Admission::Accepted => {}
        Admission::OverQuota => return Err(Failure::Refused(SubmitError::QuotaExceeded(after(used)))),
        Admission::QueueFull => {
            return Err(Failure::Refused(SubmitError::QueueFull { waiting, limit: policy.max_queue }));
        }
    }
    if waiting == 0 && totals::count(db, Status::Processing)? == 0 {
        line::settle(db)?;
    }
    quota::charge(db, new.client, today, units)?;
    line::join(write, new.client, units)?;
    totals::add(db, Status::Queued, units as i64)?;
    totals::add(db, Status::Failed, (new.jobs.len() as u64 - units) as i64)?;
    if let Some(idempotency) = &new.idempotency {
        let ids: Vec<_> = new.jobs.iter().map(|job| job.id).collect();
        idempotency::remember(db, new.client, idempotency, (&ids, now))?;
    }
    if let Some(id) = new.batch {
        batch::insert(db, id, new.client, units, now)?;
    }
    let records = new.jobs.into_iter().map(|job| {
        let cost = price(&job);
        let needed = Skill::needed(&job.params);
        if job.refused.is_none() {
            totals::queued(db, needed.as_ref(), 1)?;
        }
        insert(db, job.into_record(new.client, new.batch, now), cost, needed.as_ref())
    });
    let mut jobs = records.collect::<rusqlite::Result<Vec<_>>>()?;
    // The caller of one job is told its place in line, and need not read it then.
    if let [job] = jobs.as_mut_slice()
        && units == 1
        && new.webhook.is_none()
    {
        job.position = Some(line::position(db, new.client, db.last_insert_rowid())?);
    }
    if let Some(target) = &new.webhook {
        let of_job = || jobs.first().map(|job| Subject::Job(job.id));
        if let Some(subject) = new.batch.map(Subject::Batch).or_else(of_job) {
            // With nothing but refused files there is nothing to wait for.
            hooks::insert(db, subject, target, (units == 0).then_some(now))?;
        }
    }
    write.news.work_available = units > 0;
    write.news.hooks_due = units == 0;
    Ok(Submitted { jobs, quota: after(used + units), replayed: false })
}

fn insert(db: &Connection, record: JobRecord, cost: f64, needed: Option<&Skill>) -> rusqlite::Result<JobRecord> {
    let refused = record.error.is_some();
    db.prepare_cached(
        "INSERT INTO jobs (id, client, status, params, input, cost, charged_day, created_at, finished_at, error, batch,
             input_held, refunded, model)
         VALUES (:id, :client, :status, :params, :input, :cost, :day, :now, :finished, :error, :batch, :held, :refunded,
             :model)",
    )?
    .execute(named_params! {
        ":id": record.id.0,
        ":client": record.client.0,
        ":status": record.status.as_str(),
        ":params": Json(&record.params),
        ":input": Json(&record.input),
        ":cost": cost,
        ":day": UtcDay::of(record.created_at).0,
        ":now": millis(record.created_at),
        ":finished": record.finished_at.map(millis),
        ":error": record.error.as_ref().map(Json),
        ":batch": record.batch.map(|batch| batch.0),
        ":held": !refused,
        // It was never charged, so there is nothing to give back.
        ":refunded": refused,
        ":model": needed.map(Skill::as_str),
    })?;
    Ok(record)
}
