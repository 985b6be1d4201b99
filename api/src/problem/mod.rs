//! Errors as RFC 9457 `application/problem+json`.
//!
//! A problem has public text only. The cause of a failure on the service's side is logged where it becomes a problem.

mod conversions;

use axum::{
    Json,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use remaster_shared::error::ErrorCode;
use remaster_shared::quota::Quota;
use serde::Serialize;
use utoipa::ToSchema;

/// Seconds after which a caller may try again when the service is short of something.
const RETRY_AFTER: u64 = 5;

/// The media type of every error.
pub const MEDIA_TYPE: &str = "application/problem+json";

/// How many characters of a refused value are repeated to the caller.
pub const QUOTED: usize = 80;

/// A refusal, before it is rendered.
#[derive(Debug, Clone)]
pub struct Problem {
    /// What kind of problem it is. It also decides the status.
    pub code: ErrorCode,
    /// What was wrong this time, and what is accepted.
    pub detail: String,
    /// The `Retry-After` header, in seconds.
    pub retry_after: Option<u64>,
    /// The client's quota, where the refusal already had to read it.
    pub quota: Option<Quota>,
}

/// A value, or the problem that the request is answered with.
pub type ApiResult<T = Response> = Result<T, Problem>;

/// The body of every error.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProblemBody {
    /// This is always `about:blank`, because `code` names the kind of problem.
    #[serde(rename = "type")]
    pub kind: &'static str,
    /// A short text that is the same for every problem with this `code`.
    pub title: &'static str,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What was wrong this time, and what is accepted.
    pub detail: String,
    /// A stable name for the kind of problem.
    pub code: ErrorCode,
    /// The id of the request, which is also in the `X-Request-Id` header and in the service's log.
    pub request_id: String,
}

impl Problem {
    /// A problem of this kind. Problems with status 503 may be tried again after a few seconds.
    pub fn new(code: ErrorCode, detail: impl Into<String>) -> Self {
        let retry_after = (code.status() == 503).then_some(RETRY_AFTER);
        Self { code, detail: detail.into(), retry_after, quota: None }
    }

    /// The parameter `name` has the value `got`, but takes only what `accepts` says.
    pub fn parameter(name: &str, got: &str, accepts: &str) -> Self {
        let got: String = got.chars().take(QUOTED).collect();
        Self::new(ErrorCode::InvalidParameter, format!("{name} is {got:?}; it takes {accepts}."))
    }

    /// There is no job with the id in the path.
    pub fn job_not_found() -> Self {
        Self::new(ErrorCode::NotFound, "There is no such job; ids are given by POST /jobs and kept for a while after.")
    }

    /// There is no batch with the id in the path.
    pub fn batch_not_found() -> Self {
        Self::new(
            ErrorCode::NotFound,
            "There is no such batch; ids are given by POST /batches and kept for a while after.",
        )
    }

    /// The client has too few units of its daily quota left.
    pub fn quota_exceeded(quota: Quota) -> Self {
        let detail = format!(
            "{} of {} images are used today, {} are left; nothing was charged. The quota resets at {}.",
            quota.used, quota.limit, quota.remaining, quota.reset
        );
        Self { quota: Some(quota), ..Self::new(ErrorCode::QuotaExceeded, detail) }
    }

    /// The response with its body. The middleware around all routes knows the `request_id`.
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
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}

/// The problem travels as an extension of the response, so that the middleware can render it again with the request's id.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.render("");
        response.extensions_mut().insert(self);
        response
    }
}
