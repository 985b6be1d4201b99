//! Between the functions' JSON and domain values. A job's hash has only strings in it.

use std::collections::HashMap;
use std::str::FromStr;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::client::ClientKey;
use crate::clock::from_millis;
use crate::fleet::WorkerSeen;
use crate::job::{BatchId, BatchRecord, JobId, JobRecord, Status};
use crate::store::{StoreError, delivery};
use crate::webhook::delivery::{Delivery, DeliveryStatus, DueHook, Subject};

pub type Hash = HashMap<String, String>;

/// What any function may answer; each gives its part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Reply {
    pub job: Option<Hash>,
    pub batch: Option<Hash>,
    /// Of the job or batch.
    pub hook: Option<Hash>,
    pub hooks: Vec<Hash>,
    pub lost: bool,
    /// Those of an earlier submit, or of a batch.
    pub jobs: Vec<Hash>,
    pub replayed: bool,
    pub finished: bool,
    pub cancel: bool,
    pub refused: Option<String>,
    pub used: u64,
    pub waiting: u64,
    pub now: f64,
    pub next: f64,
    pub position: Option<u64>,
    pub requeued: u64,
    pub poisoned: u64,
    pub expired: u64,
    pub forgotten: u64,
    pub clients: u64,
    pub queued: u64,
    pub processing: u64,
    /// What each said, and when.
    pub workers: Vec<(String, String)>,
}

fn field<'a>(job: &'a Hash, name: &str) -> Result<&'a str, StoreError> {
    job.get(name).map(String::as_str).ok_or_else(|| StoreError(format!("a job lacks {name}")))
}

fn parsed<T: FromStr>(job: &Hash, name: &str) -> Result<T, StoreError> {
    field(job, name)?.parse().map_err(|_| StoreError(format!("a job's {name} cannot be read")))
}

fn json<T: DeserializeOwned>(job: &Hash, name: &str) -> Result<T, StoreError> {
    serde_json::from_str(field(job, name)?).map_err(|error| StoreError(format!("a job's {name}: {error}")))
}

fn optional<T>(
    job: &Hash,
    name: &str,
    read: impl Fn(&Hash, &str) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    if job.contains_key(name) { read(job, name).map(Some) } else { Ok(None) }
}

fn time(job: &Hash, name: &str) -> Result<jiff::Timestamp, StoreError> {
    parsed::<f64>(job, name).map(|ms| from_millis(ms as i64))
}

fn client(text: &str) -> Option<ClientKey> {
    let mut key = [0; 16];
    for (index, byte) in key.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(ClientKey(key))
}

pub fn token(job: &Hash) -> Result<u64, StoreError> {
    parsed(job, "token")
}

pub fn record(job: &Hash, position: Option<u64>) -> Result<JobRecord, StoreError> {
    let status: Status = parsed(job, "status")?;
    Ok(JobRecord {
        id: parsed(job, "id")?,
        client: client(field(job, "client")?).ok_or_else(|| StoreError("a job's client cannot be read".into()))?,
        status,
        params: json(job, "params")?,
        input: json(job, "input")?,
        created_at: time(job, "created")?,
        started_at: optional(job, "started", time)?,
        finished_at: optional(job, "finished", time)?,
        expires_at: optional(job, "expires", time)?,
        attempt: parsed(job, "attempt")?,
        progress: parsed(job, "progress")?,
        cancel_requested: job.get("cancel").is_some_and(|cancel| cancel == "1"),
        position,
        result: optional(job, "result", json)?,
        error: optional(job, "error", json)?,
        batch: optional(job, "batch", parsed)?,
        webhook: None,
    })
}

/// The batch in the reply, if there is one.
pub fn batch(reply: &Reply) -> Result<Option<BatchRecord>, StoreError> {
    let Some(batch) = &reply.batch else { return Ok(None) };
    Ok(Some(BatchRecord {
        id: parsed(batch, "id")?,
        client: client(field(batch, "client")?).ok_or_else(|| StoreError("a batch's client cannot be read".into()))?,
        created_at: time(batch, "created")?,
        cancel_requested: batch.contains_key("cancel"),
        jobs: reply.jobs.iter().map(|job| record(job, None)).collect::<Result<_, _>>()?,
        webhook: standing(reply)?,
    }))
}

/// How the webhook in the reply stands, if there is one.
pub fn standing(reply: &Reply) -> Result<Option<Delivery>, StoreError> {
    let Some(hook) = &reply.hook else { return Ok(None) };
    let ended = hook.get("ended").map(|ended| match ended.as_str() {
        "delivered" => DeliveryStatus::Delivered,
        _ => DeliveryStatus::Failed,
    });
    let due = optional(hook, "due", time)?;
    Ok(Some(delivery(ended, due, parsed(hook, "attempts")?, optional(hook, "last", json)?)))
}

pub fn due_hook(hook: &Hash) -> Result<DueHook, StoreError> {
    let subject = match field(hook, "kind")? {
        "job" => Subject::Job(JobId(parsed(hook, "subject")?)),
        _ => Subject::Batch(BatchId(parsed(hook, "subject")?)),
    };
    let (target, attempts) = (json(hook, "target")?, parsed(hook, "attempts")?);
    Ok(DueHook { subject, target, attempts, body: hook.get("body").cloned() })
}

/// A worker's announcement and the time of it, as the library keeps them.
pub fn worker(said: &str, at: &str) -> Result<WorkerSeen, StoreError> {
    let unreadable = || StoreError("a worker's announcement cannot be read".into());
    let said = serde_json::from_str(said).map_err(|_| unreadable())?;
    let at: f64 = at.parse().map_err(|_| unreadable())?;
    Ok(WorkerSeen { said, at: from_millis(at as i64) })
}
