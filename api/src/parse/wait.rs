//! How long a caller wants its answer to be held: `?wait=N` and `Prefer: wait=N`.

use std::time::Duration;

use axum::extract::Query;
use axum::extract::rejection::QueryRejection;
use axum::http::HeaderMap;
use remaster_shared::error::ErrorCode;
use serde::Deserialize;

use crate::problem::{ApiResult, Problem};

/// The longest wait that a caller may ask for.
const MAX_WAIT: Duration = Duration::from_secs(60);

/// The query of `GET /jobs/{id}` and `GET /batches/{id}`.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// Hold the answer until something changes, for at most this many seconds (0 to 60).
    #[param(value_type = Option<u32>, minimum = 0, maximum = 60)]
    wait: Option<String>,
}

/// How long to wait for a change, from the query.
///
/// # Errors
/// 400 `invalid_parameter` when the query has another parameter, or the wait is not a number from 0 to 60.
pub fn query_wait(query: Result<Query<WaitQuery>, QueryRejection>) -> ApiResult<Option<Duration>> {
    let Query(query) =
        query.map_err(|_| Problem::new(ErrorCode::InvalidParameter, "The only query parameter is wait."))?;
    query.wait.as_deref().map(|text| seconds("wait", text)).transpose()
}

/// How long to wait for the end of a job, from the `Prefer` headers (RFC 7240). Other preferences are ignored, as the
/// standard asks.
///
/// # Errors
/// 400 `invalid_parameter` when the wait is not a number from 0 to 60.
pub fn preferred_wait(headers: &HeaderMap) -> ApiResult<Option<Duration>> {
    let preferences = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let wait = preferences.flat_map(|value| value.split([',', ';'])).find_map(|one| one.trim().strip_prefix("wait="));
    wait.map(|text| seconds("Prefer: wait", text)).transpose()
}

fn seconds(name: &str, text: &str) -> ApiResult<Duration> {
    text.parse()
        .ok()
        .map(Duration::from_secs)
        .filter(|wait| *wait <= MAX_WAIT)
        .ok_or_else(|| Problem::parameter(name, text, "whole seconds from 0 to 60"))
}
