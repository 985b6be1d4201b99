//! The outbox of webhooks. Triggers make a row due; here rows are handed out, and what came of them is kept.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, named_params};
use uuid::Uuid;

use super::rows::{Json, millis};
use crate::clock::from_millis;
use crate::job::{BatchId, JobId};
use crate::store::{DueHooks, HOOK_LEASE, HookRoom, StoreError};
use crate::webhook::delivery::{Attempted, Delivery, DeliveryStatus, DueHook, Subject, Target};
use crate::webhook::schedule::Next;

/// Keeps a webhook for `subject`, due at once when there is nothing to wait for.
pub fn insert(
    connection: &Connection,
    subject: Subject,
    target: &Target,
    due: Option<Timestamp>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
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

/// Nobody is to be told of these any more.
pub fn forget(connection: &Connection, subject: Uuid) -> rusqlite::Result<()> {
    connection
        .prepare_cached("DELETE FROM hooks WHERE subject = :subject")?
        .execute(named_params! { ":subject": subject.as_bytes() })
        .map(drop)
}

/// How the webhook of `subject` stands, if there is one.
pub fn delivery(connection: &Connection, subject: Uuid) -> rusqlite::Result<Option<Delivery>> {
    connection
        .prepare_cached("SELECT ended, due, attempts, last FROM hooks WHERE subject = :subject")?
        .query_row(named_params! { ":subject": subject.as_bytes() }, |row| {
            let ended: Option<String> = row.get(0)?;
            let ended = ended.map(|ended| match ended.as_str() {
                "delivered" => DeliveryStatus::Delivered,
                _ => DeliveryStatus::Failed,
            });
            let (due, last): (Option<i64>, Option<Json<_>>) = (row.get(1)?, row.get(3)?);
            Ok(crate::store::delivery(ended, due.map(from_millis), row.get(2)?, last.map(|json| json.0)))
        })
        .optional()
}

/// Hands out what is due, host by host, the longest due first.
pub fn due(connection: &Connection, now: Timestamp, room: &HookRoom) -> Result<DueHooks, StoreError> {
    // Those at their bound are left out before the rows are counted, so that they hide nobody.
    let full: Vec<_> = room.under_way.keys().filter(|host| room.left(host, 0) == 0).collect();
    let hosts: Vec<String> = connection
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
            due.extend(take(connection, now, &host, free)?);
        }
    }
    // What is due and was not taken waits for room, not for time.
    let next: Option<i64> = connection
        .prepare_cached("SELECT min(due) FROM hooks WHERE due > :now")?
        .query_row(named_params! { ":now": millis(now) }, |row| row.get(0))?;
    Ok(DueHooks { due, next: next.map(|at| Duration::from_millis((at - millis(now)) as u64)) })
}

fn take(connection: &Connection, now: Timestamp, host: &str, limit: usize) -> rusqlite::Result<Vec<DueHook>> {
    let mut take = connection.prepare_cached(
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
        let subject = if kind == "job" { Subject::Job(JobId(id)) } else { Subject::Batch(BatchId(id)) };
        let target = row.get::<_, Json<_>>(2)?.0;
        Ok(DueHook { subject, target, attempts: row.get(3)?, body: row.get(4)? })
    })?;
    // One that cannot be read is no reason to hold up the others; it comes again.
    let readable = |hook: rusqlite::Result<DueHook>| {
        hook.inspect_err(|error| tracing::warn!(%error, "a webhook is passed over")).ok()
    };
    Ok(taken.filter_map(readable).collect())
}

pub fn attempted(connection: &Connection, now: Timestamp, attempted: &Attempted) -> rusqlite::Result<()> {
    let (due, ended) = match attempted.next {
        Next::Retry(wait) => (Some(millis(now).saturating_add(wait.as_millis() as i64)), None),
        Next::Delivered => (None, Some(DeliveryStatus::Delivered)),
        Next::GiveUp => (None, Some(DeliveryStatus::Failed)),
    };
    connection
        .prepare_cached(
            "UPDATE hooks SET attempts = attempts + 1, last = :last, due = :due, ended = :ended,
                 body = iif(:ended IS NULL, :body, NULL), target = iif(:ended IS NULL, target, NULL)
             WHERE subject = :subject AND attempts = :attempts AND ended IS NULL",
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
