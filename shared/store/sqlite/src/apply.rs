//! Carrying out what the rules decide about a job: the row, the counts, the line, the quota, the batch and the webhooks.

use remaster_shared::blob_key::OutputName;
use remaster_shared::job::{Skill, Status};
use remaster_store::ClaimRequest;
use remaster_store::rules::job::{Change, Event, Hold, INPUT_KEPT, Input, Line, Output, Refused, decide};
use rusqlite::named_params;

use super::rows::{JobRow, Json, millis};
use super::write::{Failure, Write};
use super::{batch, hooks, line, quota, totals};

/// Decides what `event` does to the job, does it, and brings `row` up to date.
pub fn apply(write: &mut Write<'_>, row: &mut JobRow, event: Event) -> Result<(), Failure<Refused>> {
    carry_out(write, row, event, None)
}

/// The same for a claim.
pub fn claim(write: &mut Write<'_>, row: &mut JobRow, request: &ClaimRequest) -> Result<(), Failure<Refused>> {
    carry_out(write, row, Event::Claimed, Some(request))
}

fn carry_out(
    write: &mut Write<'_>,
    row: &mut JobRow,
    event: Event,
    request: Option<&ClaimRequest>,
) -> Result<(), Failure<Refused>> {
    let before = row.state();
    let was_ready = before.status == Status::Queued && !row.delayed;
    let change = decide(write.policy, before, event).map_err(Failure::Refused)?;
    if change.serves {
        line::serve(write, row.record.client, row.cost)?;
    }
    update(write, row, &change, request)?;
    let is_ready = change.status == Status::Queued && !row.delayed;
    let needed = Skill::needed(&row.record.params);
    totals::moved(write.db, needed.as_ref(), before.status, change.status)?;
    match (was_ready, is_ready) {
        (false, true) => line::join(write, row.record.client, 1)?,
        (true, false) => line::leave(write, row.record.client, change.hold == Hold::Begins)?,
        _ => {}
    }
    if change.refunds {
        quota::refund(write.db, row.record.client, row.charged_day)?;
    }
    if change.ends {
        hooks::arm(write, row.record.id.0)?;
        if let Some(batch) = row.record.batch {
            batch::one_ended(write, batch)?;
        }
    }
    if change.reopens {
        hooks::rearm(write.db, row.record.id.0)?;
        if let Some(batch) = row.record.batch {
            batch::one_reopened(write, batch)?;
        }
    }
    if change.silences {
        hooks::forget(write.db, row.record.id.0)?;
        if let Some(batch) = row.record.batch {
            hooks::forget(write.db, batch.0)?;
        }
    }
    write.news.changed(&row.record);
    // A retry that is due later is no work yet, but workers have to compute anew how long to wait.
    write.news.work_available |= matches!(change.line, Line::Joins | Line::JoinsAfter(_));
    Ok(())
}

fn update(
    write: &Write<'_>,
    row: &mut JobRow,
    change: &Change,
    request: Option<&ClaimRequest>,
) -> rusqlite::Result<()> {
    let now = write.now;
    let record = &mut row.record;
    if change.output == Output::Kept || (change.output == Output::Garbage && record.output.is_none()) {
        record.output = row.fence.map(|fence| OutputName::Fence(fence, record.params.format));
    }
    record.status = change.status;
    record.attempt = change.attempt;
    record.cancel_requested = change.cancel_requested;
    if change.restarts {
        record.progress = 0.0;
    }
    if change.hold == Hold::Begins {
        record.started_at = record.started_at.or(Some(now));
        row.fence = request.map(|request| request.fence);
    } else if change.attempt == 0 {
        record.started_at = None;
    }
    if change.ends {
        record.finished_at = Some(now);
    }
    if change.reopens {
        (record.finished_at, record.error) = (None, None);
        row.deferrals = 0;
    }
    if change.output == Output::Kept {
        record.progress = 1.0;
        record.expires_at = now.checked_add(write.policy.result_ttl).ok();
    }
    record.result = change.result.clone().or_else(|| record.result.take());
    record.error = change.error.clone().or_else(|| record.error.take());
    row.begun = change.begun;
    row.served |= change.serves;
    row.refunded |= change.refunds;
    row.deferrals += u32::from(change.defers);
    let not_before = match change.line {
        Line::JoinsAfter(wait) => Some(millis(now).saturating_add(wait.as_millis() as i64)),
        _ => None,
    };
    row.delayed = not_before.is_some();
    let garbage_due = match (change.input, change.output) {
        (Input::GarbageLater, _) => now.checked_add(write.policy.result_ttl.max(INPUT_KEPT)).ok(),
        (Input::Garbage, _) => now.checked_add(INPUT_KEPT).ok(),
        (_, Output::Garbage) => Some(now),
        _ => None,
    };
    write
        .db
        .prepare_cached(
            "UPDATE jobs SET status = :status, attempt = :attempt, cancel_requested = :cancel, progress = :progress,
                 result = :result, error = :error, started_at = :started, finished_at = :finished, expires_at = :expires,
                 clock_charged = :served, refunded = :refunded, deferrals = :deferrals, not_before = :not_before, fence = :fence, begun = :begun,
                 worker = iif(:keeps, worker, :worker), lease_until = iif(:stays, lease_until, :until), output = :output,
                 garbage_due = coalesce(:garbage_due, garbage_due)
             WHERE seq = :seq",
        )?
        .execute(named_params! {
            ":status": record.status.as_str(),
            ":attempt": record.attempt,
            ":cancel": record.cancel_requested,
            ":progress": record.progress,
            ":result": record.result.as_ref().map(Json),
            ":error": record.error.as_ref().map(Json),
            ":started": record.started_at.map(millis),
            ":finished": record.finished_at.map(millis),
            ":expires": record.expires_at.map(millis),
            ":served": row.served,
            ":refunded": row.refunded,
            ":deferrals": row.deferrals,
            ":not_before": not_before,
            ":fence": row.fence.map(|fence| fence.0),
            ":begun": row.begun,
            ":stays": change.hold == Hold::Unchanged,
            ":keeps": matches!(change.hold, Hold::Unchanged | Hold::Extended),
            ":worker": request.map(|request| &request.worker),
            ":until": matches!(change.hold, Hold::Begins | Hold::Extended).then(|| millis(now) + write.policy.lease.as_millis() as i64),
            ":garbage_due": garbage_due.map(millis),
            ":output": record.output.map(|output| output.to_string()),
            ":seq": row.seq,
        })
        .map(drop)
}
