//! Errors as RFC 9457 `application/problem+json`. Public text only; the cause is logged where the error is made.

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use remaster_blobs::BlobError;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::ParamError;
use remaster_shared::quota::Quota;
use remaster_store::{CancelError, StoreError, SubmitError};
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds after which a caller may try again when the service is short of something.
const RETRY_AFTER: u64 = 5;

/// A refusal, before it is rendered.
#[derive(Debug, Clone)]
pub struct Problem {
    pub code: ErrorCode,
    pub detail: String,
    /// Seconds.
    pub retry_after: Option<u64>,
    /// Known for a refusal over quota.
    pub quota: Option<Quota>,
}

pub type Answer<T = Response> = Result<T, Problem>;

/// The body of every error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemBody {
    /// Always `about:blank`: `code` tells what kind of problem it is.
    #[serde(rename = "type")]
    pub kind: &'static str,
    pub title: &'static str,
    pub status: u16,
    /// What was wrong this time, and what is accepted.
    pub detail: String,
    pub code: ErrorCode,
    /// As in the `X-Request-Id` header and the service's log.
    pub request_id: String,
}

impl Problem {
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let retry_after = (code.status() == 503).then_some(RETRY_AFTER);
        Self { code, detail: detail.into(), retry_after, quota: None }
    }

    pub fn parameter(name: &str, got: &str, accepts: &str) -> Self {
        let got: String = got.chars().take(80).collect();
        Self::new(ErrorCode::InvalidParameter, format!("{name} is {got:?}; it takes {accepts}."))
    }

    pub fn job_not_found() -> Self {
        Self::new(ErrorCode::NotFound, "There is no such job; ids are given by POST /jobs and kept for a while after.")
    }

    pub fn batch_not_found() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "There is no such batch; ids are given by POST /batches and kept for a while after.",
        )
    }

    /// The rendered answer. `request_id` is filled in by the middleware around all routes.
    pub fn render(&self, request_id: &str) -> Response {
        let body = ProblemBody {
            kind: "about:blank",
            title: self.code.title(),
            status: self.code.status(),
            detail: self.detail.clone(),
            code: self.code,
            request_id: request_id.to_owned(),
        };
        let status = StatusCode::from_u16(body.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render("");
        response.extensions_mut().insert(self);
        response
    }
}

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<ParamError> for Problem {
    fn from(error: ParamError) -> Self {
        Self::parameter(error.name, &error.got, error.accepts)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store does not answer");
        Self::new(
            ErrorCode::StoreUnavailable,
            "The job store is not reachable; nothing was charged. Try again shortly.",
        )
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        tracing::error!(%error, "the object storage does not answer");
        let detail = "The object storage is not reachable; nothing was charged. Try again shortly.";
        Self::new(ErrorCode::StorageUnavailable, detail)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::QuotaExceeded(quota) => over_quota(quota),
            SubmitError::KeyReused => Self::new(
                ErrorCode::IdempotencyKeyReused,
                "This Idempotency-Key came with another request within the last 24 hours; nothing was charged. Use a new key.",
            ),
            SubmitError::QueueFull { waiting, limit } => Self::new(
                ErrorCode::QueueFull,
                format!("{waiting} jobs are waiting, the limit is {limit}; nothing was charged. Try again later."),
            ),
            SubmitError::Store(error) => error.into(),
        }
    }
}

/// The refusal of a client that has used its day up.
pub fn over_quota(quota: Quota) -> Problem {
    let detail = format!(
        "{} of {} images are used today, {} are left; nothing was charged. The quota resets at {}.",
        quota.used, quota.limit, quota.remaining, quota.reset
    );
    Problem { quota: Some(quota), ..Problem::new(ErrorCode::QuotaExceeded, detail) }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Self::job_not_found(),
            CancelError::AlreadyFinished(how) => {
                Self::new(ErrorCode::AlreadyFinished, format!("It is {how}; there is nothing to cancel."))
            }
            CancelError::Store(error) => error.into(),
        }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "an upload cannot be kept");
        Self::new(ErrorCode::Internal, "The upload could not be kept on our side; nothing was charged.")
    }
}
