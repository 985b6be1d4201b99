//! Between table rows and domain values. A row that cannot be read is an error that names its column, never a guess.

use jiff::Timestamp;
use rusqlite::types::{FromSql, FromSqlError, FromSqlResult, ToSql, ToSqlOutput, ValueRef};
use rusqlite::{Connection, OptionalExtension, Row, named_params};
use serde::{Serialize, de::DeserializeOwned};

use crate::client::ClientKey;
use crate::clock::from_millis;
use crate::job::{BatchId, JobId, JobRecord, Status};
use crate::store::{CancelError, LeaseError, StoreError, SubmitError};

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        StoreError(error.to_string())
    }
}

macro_rules! through_store_error {
    ($($error:ty),*) => { $(
        impl From<rusqlite::Error> for $error {
            fn from(error: rusqlite::Error) -> Self {
                StoreError::from(error).into()
            }
        }
    )* };
}

through_store_error!(SubmitError, LeaseError, CancelError);

impl ToSql for JobId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(&self.0.as_bytes()[..]))
    }
}

impl FromSql for JobId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        uuid::Uuid::from_slice(value.as_blob()?).map(JobId).map_err(|_| FromSqlError::InvalidType)
    }
}

impl ToSql for BatchId {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(&self.0.as_bytes()[..]))
    }
}

impl FromSql for BatchId {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        uuid::Uuid::from_slice(value.as_blob()?).map(BatchId).map_err(|_| FromSqlError::InvalidType)
    }
}

impl ToSql for ClientKey {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(&self.0[..]))
    }
}

impl FromSql for ClientKey {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_blob()?.try_into().map(ClientKey).map_err(|_| FromSqlError::InvalidType)
    }
}

impl ToSql for Status {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::from(self.as_str()))
    }
}

impl FromSql for Status {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        value.as_str()?.parse().map_err(|_| FromSqlError::InvalidType)
    }
}

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

/// Milliseconds of a timestamp, as the tables keep it.
pub fn millis(at: Timestamp) -> i64 {
    at.as_millisecond()
}

/// A job's row, with what only the store looks at.
pub struct JobRow {
    pub record: JobRecord,
    pub seq: i64,
    pub token: u64,
    pub charged_day: i64,
    pub cost: f64,
    pub clock_charged: bool,
}

pub fn job(connection: &Connection, id: JobId) -> rusqlite::Result<Option<JobRow>> {
    connection
        .prepare_cached("SELECT * FROM jobs WHERE id = :id")?
        .query_row(named_params! { ":id": id }, read_job)
        .optional()
}

pub fn read_job(row: &Row<'_>) -> rusqlite::Result<JobRow> {
    let time = |column| row.get::<_, Option<i64>>(column).map(|ms| ms.map(from_millis));
    let record = JobRecord {
        id: row.get("id")?,
        client: row.get("client")?,
        status: row.get("status")?,
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
        error: row.get::<_, Option<Json<_>>>("error")?.map(|json| json.0),
        batch: row.get("batch")?,
        webhook: None,
    };
    Ok(JobRow {
        record,
        seq: row.get("seq")?,
        token: row.get("token")?,
        charged_day: row.get("charged_day")?,
        cost: row.get("cost")?,
        clock_charged: row.get("clock_charged")?,
    })
}
