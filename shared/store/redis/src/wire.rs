//! Between the functions' JSON and domain values. What a verb answers has a type of its own: a field that is missing is an
//! error, never a zero.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;
use std::time::Duration;

use remaster_shared::client::ClientKey;
use remaster_shared::clock::from_millis;
use remaster_shared::fleet::WorkerSeen;
use remaster_shared::job::{BatchId, BatchRecord, JobId, JobRecord, Skill, Status};
use remaster_shared::stats::QueueGauges;
use remaster_shared::webhook::{Delivery, DueHook, Subject};
use remaster_store::StoreError;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A hash as Redis keeps it: all values are strings.
pub type Hash = HashMap<String, String>;

/// `rm_submit_3`.
#[derive(Debug, Deserialize)]
pub struct SubmitReply {
    pub refused: Option<Refused>,
    /// The jobs of an earlier submit with the same key.
    pub jobs: Option<Vec<Hash>>,
    pub used: u64,
    /// Only when the queue is full.
    pub waiting: Option<u64>,
    /// Milliseconds.
    pub now: f64,
}

/// Why a submit was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refused {
    Reused,
    Quota,
    Full,
    Withdrawn,
}

/// `rm_knows`.
#[derive(Debug, Deserialize)]
pub struct KnowsReply {
    pub replayed: bool,
}

/// The reply of a claim: a job, or the time until there may be one.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClaimReply {
    Job(Hash),
    HeldBack {},
    /// Milliseconds; -1 when nothing will happen by itself.
    Next(f64),
}

/// What a verb of a lease's holder answers.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Held<T> {
    Lost {
        /// Always true.
        #[serde(rename = "lost")]
        _lost: bool,
    },
    Kept(T),
}

/// `rm_heartbeat`.
#[derive(Debug, Deserialize)]
pub struct BeatReply {
    pub cancel: bool,
}

/// A reply that has nothing to say.
#[derive(Debug, Deserialize)]
pub struct Done {}

/// A reply with the job as it is now.
#[derive(Debug, Deserialize)]
pub struct JobReply {
    pub job: Hash,
}

/// `rm_get`; without a job when there is none.
#[derive(Debug, Deserialize)]
pub struct GetReply {
    pub job: Option<Hash>,
    pub position: Option<u64>,
    pub hook: Option<Hash>,
}

/// `rm_cancel`; without a job when there is none.
#[derive(Debug, Deserialize)]
pub struct CancelReply {
    pub job: Option<Hash>,
    pub finished: Option<bool>,
}

/// `rm_batch` and `rm_cancel_batch`; without a batch when there is none.
#[derive(Debug, Deserialize)]
pub struct BatchReply {
    pub batch: Option<Hash>,
    #[serde(default)]
    pub jobs: Listed<Hash>,
    pub hook: Option<Hash>,
    /// Present only in the reply to `rm_cancel_batch`.
    pub finished: Option<bool>,
}

/// `rm_due_hooks`.
#[derive(Debug, Deserialize)]
pub struct HooksReply {
    /// Left out when there are none.
    #[serde(default)]
    pub hooks: Vec<Hash>,
    /// Milliseconds; -1 when nothing will be due by itself.
    pub next: f64,
}

/// `rm_reap`.
#[derive(Debug, Deserialize)]
pub struct ReapReply {
    pub requeued: u64,
    pub poisoned: u64,
    pub expired: u64,
    pub forgotten: u64,
    pub more: bool,
}

/// `rm_garbage` and `rm_unused`: pictures, as the trash names them.
#[derive(Debug, Deserialize)]
pub struct EntriesReply {
    pub entries: Listed<String>,
}

/// `rm_takes_sweep`.
#[derive(Debug, Deserialize)]
pub struct SweepReply {
    pub taken: bool,
}

/// `rm_list`.
#[derive(Debug, Deserialize)]
pub struct JobsReply {
    pub jobs: Listed<Hash>,
}

/// `rm_requeue`: the job as it is now; without a job when there is none.
#[derive(Debug, Deserialize)]
pub struct RequeueReply {
    pub job: Option<Hash>,
    pub refused: Option<NotRequeued>,
}

/// Why a job was not queued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotRequeued {
    Illegal,
    InputGone,
}

/// `rm_purge`.
#[derive(Debug, Deserialize)]
pub struct PurgeReply {
    pub canceled: u64,
}

/// `rm_adjust_quota`.
#[derive(Debug, Deserialize)]
pub struct QuotaReply {
    pub used: u64,
    /// Milliseconds.
    pub now: f64,
}

/// `rm_resend`.
#[derive(Debug, Deserialize)]
pub struct ResendReply {
    pub again: bool,
}

/// `rm_stats`.
#[derive(Debug, Deserialize)]
pub struct StatsReply {
    pub clients: u64,
    pub used: u64,
    pub queued: u64,
    pub processing: u64,
}

/// `rm_glimpse`.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Glimpse {
    /// For how many microseconds the client that has waited longest has done so; -1 when none waits.
    pub waited: f64,
    /// Milliseconds until a retry is due or a lease ends; -1 when neither will happen.
    pub next: f64,
}

/// `rm_gauges`.
#[derive(Debug, Deserialize)]
pub struct GaugesReply {
    /// Milliseconds.
    pub oldest: Option<String>,
    pub models: Option<Hash>,
    pub garbage: u64,
    pub webhooks: u64,
    pub reclaimed: u64,
    pub poisoned: u64,
    pub lost: u64,
}

/// `rm_workers`: what each said, and when.
#[derive(Debug, Deserialize)]
pub struct WorkersReply {
    pub workers: Vec<(String, String)>,
    /// Milliseconds.
    pub now: f64,
}

/// A list as Lua gives it: an empty one looks like an empty object.
#[derive(Debug)]
pub struct Listed<T>(pub Vec<T>);

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Listed<T> {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Either<T> {
            List(Vec<T>),
            Empty {},
        }
        Ok(match Either::deserialize(from)? {
            Either::List(list) => Self(list),
            Either::Empty {} => Self::default(),
        })
    }
}

/// A duration as the functions take it.
pub fn millis(duration: Duration) -> String {
    duration.as_millis().to_string()
}

/// A value as the functions keep it.
pub fn json(value: &impl serde::Serialize) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(StoreError::caused_by)
}

/// A wait in milliseconds, of which -1 means none.
pub fn wait(ms: f64) -> Option<Duration> {
    (ms >= 0.0).then(|| Duration::from_millis(ms as u64))
}

fn field<'a>(hash: &'a Hash, name: &str) -> Result<&'a str, StoreError> {
    hash.get(name).map(String::as_str).ok_or_else(|| StoreError::new(format!("a record lacks {name}")))
}

fn parsed<T: FromStr<Err: std::error::Error>>(hash: &Hash, name: &str) -> Result<T, StoreError> {
    field(hash, name)?.parse().map_err(|error: T::Err| StoreError::new(format!("a record's {name}: {error}")))
}

fn from_json<T: DeserializeOwned>(hash: &Hash, name: &str) -> Result<T, StoreError> {
    serde_json::from_str(field(hash, name)?).map_err(|error| StoreError::new(format!("a record's {name}: {error}")))
}

fn optional<T>(
    hash: &Hash,
    name: &str,
    read: impl Fn(&Hash, &str) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    if hash.contains_key(name) { read(hash, name).map(Some) } else { Ok(None) }
}

fn time(hash: &Hash, name: &str) -> Result<jiff::Timestamp, StoreError> {
    parsed::<f64>(hash, name).map(|ms| from_millis(ms as i64))
}

/// What operators watch.
pub fn gauges(reply: GaugesReply) -> QueueGauges {
    // An evicted job can leave a count below 0.
    let mut queued_by_model = BTreeMap::new();
    for (skill, jobs) in reply.models.unwrap_or_default() {
        if let Some(jobs) = jobs.parse::<u64>().ok().filter(|jobs| *jobs > 0) {
            *queued_by_model.entry(Skill::upscaler(&skill).to_owned()).or_default() += jobs;
        }
    }
    QueueGauges {
        oldest: reply.oldest.and_then(|ms| ms.parse::<f64>().ok()).map(|ms| from_millis(ms as i64)),
        queued_by_model,
        garbage: reply.garbage,
        webhooks: reply.webhooks,
        reclaimed: reply.reclaimed,
        poisoned: reply.poisoned,
        lost: reply.lost,
    }
}

/// The job of a hash.
pub fn record(job: &Hash) -> Result<JobRecord, StoreError> {
    let status: Status = parsed(job, "status")?;
    Ok(JobRecord {
        id: parsed(job, "id")?,
        client: parsed::<ClientKey>(job, "client")?,
        status,
        params: from_json(job, "params")?,
        input: from_json(job, "input")?,
        created_at: time(job, "created")?,
        started_at: optional(job, "started", time)?,
        finished_at: optional(job, "finished", time)?,
        expires_at: optional(job, "expires", time)?,
        attempt: parsed(job, "attempt")?,
        progress: parsed(job, "progress")?,
        cancel_requested: job.get("cancel").is_some_and(|cancel| cancel == "1"),
        position: None,
        result: optional(job, "result", from_json)?,
        output: optional(job, "output", parsed)?,
        error: optional(job, "error", from_json)?,
        batch: optional(job, "batch", parsed)?,
        webhook: None,
    })
}

/// The batch in the reply, if there is one.
pub fn batch(reply: &BatchReply) -> Result<Option<BatchRecord>, StoreError> {
    let Some(batch) = &reply.batch else { return Ok(None) };
    Ok(Some(BatchRecord {
        id: parsed(batch, "id")?,
        client: parsed(batch, "client")?,
        created_at: time(batch, "created")?,
        cancel_requested: batch.contains_key("cancel"),
        jobs: reply.jobs.0.iter().map(record).collect::<Result<_, _>>()?,
        webhook: delivery(reply.hook.as_ref())?,
    }))
}

/// How a webhook stands.
pub fn delivery(hook: Option<&Hash>) -> Result<Option<Delivery>, StoreError> {
    let Some(hook) = hook else { return Ok(None) };
    let (ended, due) = (optional(hook, "ended", parsed)?, optional(hook, "due", time)?);
    Ok(Some(Delivery::new(ended, due, parsed(hook, "attempts")?, optional(hook, "last", from_json)?)))
}

/// A webhook that was handed out.
pub fn due_hook(hook: &Hash) -> Result<DueHook, StoreError> {
    let subject = match field(hook, "kind")? {
        "job" => Subject::Job(JobId(parsed(hook, "subject")?)),
        "batch" => Subject::Batch(BatchId(parsed(hook, "subject")?)),
        other => {
            return Err(StoreError::new(format!("a webhook tells of {other:?}, which is neither a job nor a batch")));
        }
    };
    let (target, attempts) = (from_json(hook, "target")?, parsed(hook, "attempts")?);
    Ok(DueHook { subject, target, attempts, body: hook.get("body").cloned() })
}

/// A worker's announcement and the time of it, as the library keeps them.
pub fn worker(said: &str, at: &str) -> Result<WorkerSeen, StoreError> {
    let unreadable = |error: &dyn std::error::Error| StoreError::new(format!("a worker's announcement: {error}"));
    let said = serde_json::from_str(said).map_err(|error| unreadable(&error))?;
    let at: f64 = at.parse().map_err(|error| unreadable(&error))?;
    Ok(WorkerSeen { said, at: from_millis(at as i64) })
}
