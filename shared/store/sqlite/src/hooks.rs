//! The outbox of webhooks: kept from the submit on, due with the end of what it tells of, handed out, and settled.

use std::time::Duration;

use jiff::Timestamp;
use remaster_shared::clock::from_millis;
use remaster_shared::job::{BatchId, JobId};
use remaster_shared::webhook::{Attempted, Delivery, DeliveryStatus, DueHook, Next, Subject, Target};
use remaster_store::{DueHooks, HOOK_LEASE, HookRoom};
use rusqlite::{Connection, OptionalExtension, named_params};
use uuid::Uuid;

use super::rows::{Json, Word, millis};
use super::write::Write;

/// Keeps a webhook for `subject`, due at once when there is nothing to wait for.
pub fn insert(db: &Connection, subject: Subject, target: &Target, due: Option<Timestamp>) -> rusqlite::Result<()> {
    db.prepare_cached(
        "INSERT INTO hooks (subject, kind, target, host, due) VALUES (:subject, :kind, :target, :host, :due)",
    )?
    .execute(named_params! {
        ":subject": subject.id().as_bytes(),
        ":kind": match subject { Subject::Job(_) => "job", Subject::Batch(_) => "batch" },
        ":target": Json(target),
        ":host": target.host(),
        ":due": due.map(millis),
    })
    .map(drop)
}

/// There is something to tell: the webhook of a job or a batch, if it has one, becomes due.
pub fn arm(write: &mut Write<'_>, subject: Uuid) -> rusqlite::Result<()> {
    let armed = write
        .db
        .prepare_cached("UPDATE hooks SET due = :now WHERE subject = :subject AND ended IS NULL")?
        .execute(named_params! { ":now": millis(write.now), ":subject": subject.as_bytes() })?;
    write.news.hooks_due |= armed > 0;
    Ok(())
}

/// What ended is open again: its new end is told from the first attempt on.
pub fn rearm(db: &Connection, subject: Uuid) -> rusqlite::Result<()> {
    db.prepare_cached(
        "UPDATE hooks SET ended = NULL, due = NULL, attempts = 0, body = NULL
         WHERE subject = :subject AND target IS NOT NULL",
    )?
    .execute(named_params! { ":subject": subject.as_bytes() })
    .map(drop)
}

/// Carries out [`remaster_store::Operations::resend`].
pub fn resend(write: &mut Write<'_>, subject: Uuid) -> rusqlite::Result<bool> {
    let armed = write
        .db
        .prepare_cached(
            "UPDATE hooks SET ended = NULL, due = :now, attempts = 0, body = NULL
             WHERE subject = :subject AND target IS NOT NULL AND (ended IS NOT NULL OR due IS NOT NULL)",
        )?
        .execute(named_params! { ":now": millis(write.now), ":subject": subject.as_bytes() })?;
    write.news.hooks_due |= armed > 0;
    Ok(armed > 0)
}

/// Nobody is to be told of this any more.
pub fn forget(db: &Connection, subject: Uuid) -> rusqlite::Result<()> {
    db.prepare_cached("DELETE FROM hooks WHERE subject = :subject")?
        .execute(named_params! { ":subject": subject.as_bytes() })
        .map(drop)
}

/// How the webhook of `subject` stands, if there is one.
pub fn delivery(db: &Connection, subject: Uuid) -> rusqlite::Result<Option<Delivery>> {
    db.prepare_cached("SELECT ended, due, attempts, last FROM hooks WHERE subject = :subject")?
        .query_row(named_params! { ":subject": subject.as_bytes() }, |row| {
            let (ended, due): (Option<Word<_>>, Option<i64>) = (row.get(0)?, row.get(1)?);
            let last: Option<Json<_>> = row.get(3)?;
            let (ended, last) = (ended.map(|word| word.0), last.map(|json| json.0));
            Ok(Delivery::new(ended, due.map(from_millis), row.get(2)?, last))
        })
        .optional()
}

/// Hands out what is due, host by host, the longest due first.
pub fn due(db: &Connection, now: Timestamp, room: &HookRoom) -> rusqlite::Result<DueHooks> {
    // Those at their bound are left out before the rows are counted, so that they hide nobody.
    let full: Vec<_> = room.under_way.keys().filter(|host| room.left(host, 0) == 0).collect();
    let hosts: Vec<String> = db
        .prepare_cached(
            "SELECT host FROM (
                 SELECT host, due FROM hooks
                 WHERE due <= :now AND host NOT IN (SELECT value FROM json_each(:full)) ORDER BY due LIMIT 1000)
             GROUP BY host ORDER BY min(due)",
        )?
        .query_map(named_params! { ":now": millis(now), ":full": Json(&full) }, |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut due = Vec::new();
    for host in hosts {
        let free = room.left(&host, due.len());
        if free > 0 {
            due.extend(take(db, now, &host, free)?);
        }
    }
    // What is due and was not taken waits for room, not for time.
    let next: Option<i64> = db
        .prepare_cached("SELECT min(due) FROM hooks WHERE due > :now")?
        .query_row(named_params! { ":now": millis(now) }, |row| row.get(0))?;
    Ok(DueHooks { due, next: next.map(|at| Duration::from_millis((at - millis(now)) as u64)) })
}

fn take(db: &Connection, now: Timestamp, host: &str, limit: usize) -> rusqlite::Result<Vec<DueHook>> {
    let mut take = db.prepare_cached(
        "UPDATE hooks SET due = :until WHERE subject IN (
             SELECT subject FROM hooks WHERE host = :host AND due <= :now ORDER BY due LIMIT :limit)
         RETURNING subject, kind, target, attempts, body",
    )?;
    let values = named_params! {
        ":until": millis(now) + HOOK_LEASE.as_millis() as i64,
        ":host": host,
        ":now": millis(now),
        ":limit": limit,
    };
    let taken = take.query_map(values, |row| {
        let (id, kind): ([u8; 16], String) = (row.get(0)?, row.get(1)?);
        let id = Uuid::from_bytes(id);
        // The table's own check allows no other kind.
        let subject = if kind == "job" { Subject::Job(JobId(id)) } else { Subject::Batch(BatchId(id)) };
        let target = row.get::<_, Json<_>>(2)?.0;
        Ok(DueHook { subject, target, attempts: row.get(3)?, body: row.get(4)? })
    })?;
    // An entry that cannot be read is skipped, and is handed out again later.
    let readable = |hook: rusqlite::Result<DueHook>| {
        hook.inspect_err(|error| tracing::warn!(%error, "a webhook is passed over")).ok()
    };
    Ok(taken.filter_map(readable).collect())
}

/// Carries out [`remaster_store::Outbox::hook_attempted`]. A webhook without a due time waits for a
/// new end of its job or batch, so the attempt is ignored: it told of an
/// earlier one.
pub fn attempted(db: &Connection, now: Timestamp, attempted: &Attempted) -> rusqlite::Result<()> {
    let (due, ended) = match attempted.next {
        Next::Retry(wait) => (Some(millis(now).saturating_add(wait.as_millis() as i64)), None),
        Next::Delivered => (None, Some(DeliveryStatus::Delivered)),
        Next::GiveUp => (None, Some(DeliveryStatus::Failed)),
    };
    db.prepare_cached(
        "UPDATE hooks SET attempts = attempts + 1, last = :last, due = :due, ended = :ended,
                 body = iif(:ended IS NULL, coalesce(:body, body), NULL)
             WHERE subject = :subject AND attempts = :attempts AND ended IS NULL AND due IS NOT NULL",
    )?
    .execute(named_params! {
        ":last": Json(&attempted.attempt),
        ":due": due,
        ":ended": ended.map(DeliveryStatus::as_str),
        ":body": attempted.body,
        ":subject": attempted.subject.id().as_bytes(),
        ":attempts": attempted.attempts,
    })
    .map(drop)
}
