//! Between table rows and domain values. A row that cannot be read is an error that names its column, never a guess.

use std::str::FromStr;

use jiff::Timestamp;
use remaster_shared::client::ClientKey;
use remaster_shared::clock::from_millis;
use remaster_shared::job::{BatchId, Fence, JobId, JobRecord};
use remaster_store::rules::job::JobState;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::{Serialize, de::DeserializeOwned};

/// A value kept as JSON text.
pub struct Json<T>(pub T);

impl<T: Serialize> ToSql for Json<T> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        let text =
            serde_json::to_string(&self.0).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
        Ok(ToSqlOutput::from(text))
    }
}

impl<T: DeserializeOwned> FromSql for Json<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        serde_json::from_str(value.as_str()?).map(Json).map_err(|error| FromSqlError::Other(Box::new(error)))
    }
}

/// A value kept as the word that it is called by.
pub struct Word<T>(pub T);

impl<T: FromStr<Err: std::error::Error + Send + Sync + 'static>> FromSql for Word<T> {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map(Word).map_err(|error: T::Err| FromSqlError::Other(Box::new(error)))
    }
}

/// The timestamp in milliseconds, as the tables keep it.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A job's row, with what only the store looks at.
pub struct JobRow {
    /// What everybody may see of it.
    pub record: JobRecord,
    /// Order of arrival.
    pub seq: i64,
    /// The fencing token of its latest claim.
    pub fence: Option<Fence>,
    /// Whether the worker of the present attempt was heard of.
    pub begun: bool,
    /// The UTC day whose quota was charged, in days since the epoch.
    pub charged_day: i64,
    /// Its price in its client's turn.
    pub cost: f64,
    /// Whether its client's virtual start was moved on for it.
    pub served: bool,
    /// Whether its unit was given back.
    pub refunded: bool,
    /// How often it went back because of a fault of the service's own.
    pub deferrals: u32,
    /// Whether it waits for a retry that is not due yet.
    pub delayed: bool,
}

impl JobRow {
    /// What the rules look at.
    pub fn state(&self) -> JobState {
        JobState {
            status: self.record.status,
            attempt: self.record.attempt,
            begun: self.begun,
            cancel_requested: self.record.cancel_requested,
            served: self.served,
            refunded: self.refunded,
            deferrals: self.deferrals,
        }
    }
}

/// The job's row, or `None` when there is no such job.
pub fn job(db: &Connection, id: JobId) -> rusqlite::Result<Option<JobRow>> {
    db.prepare_cached("SELECT * FROM jobs WHERE id = :id")?
        .query_row(named_params! { ":id": id.0 }, read_job)
        .optional()
}

/// Reads a row of `SELECT * FROM jobs`.
pub fn read_job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|ms| ms.map(from_millis));
    let record = JobRecord {
        id: JobId(row.get("id")?),
        client: ClientKey(row.get("client")?),
        status: row.get::<_, Word<_>>("status")?.0,
        params: row.get::<_, Json<_>>("params")?.0,
        input: row.get::<_, Json<_>>("input")?.0,
        created_at: from_millis(row.get("created_at")?),
        started_at: time("started_at")?,
        finished_at: time("finished_at")?,
        expires_at: time("expires_at")?,
        attempt: row.get("attempt")?,
        progress: row.get("progress")?,
        cancel_requested: row.get("cancel_requested")?,
        position: None,
        result: row.get::<_, Option<Json<_>>>("result")?.map(|json| json.0),
        output: row.get::<_, Option<Word<_>>>("output")?.map(|word| word.0),
        error: row.get::<_, Option<Json<_>>>("error")?.map(|json| json.0),
        batch: row.get::<_, Option<_>>("batch")?.map(BatchId),
        webhook: None,
    };
    Ok(JobRow {
        record,
        seq: row.get("seq")?,
        fence: row.get::<_, Option<_>>("fence")?.map(Fence),
        begun: row.get("begun")?,
        charged_day: row.get("charged_day")?,
        cost: row.get("cost")?,
        served: row.get("clock_charged")?,
        refunded: row.get("refunded")?,
        deferrals: row.get("deferrals")?,
        delayed: row.get::<_, Option<i64>>("not_before")?.is_some(),
    })
}
