//! The quota in headers: on every answer to a submit, and on every refusal over quota.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use remaster_shared::error::ErrorCode;
use remaster_shared::quota::Quota;

use crate::client::Client;
use crate::problem::{Answer, over_quota};
use crate::state::Api;

/// Writes the quota headers, and `Retry-After` when nothing is left.
fn write(headers: &mut HeaderMap, quota: Quota, now: Timestamp) {
    let wait = quota.seconds_to_reset(now);
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-quota-used", quota.used.to_string());
    set("x-quota-limit", quota.limit.to_string());
    set("x-quota-reset", quota.reset.to_string());
    set("ratelimit-policy", format!("\"daily\";q={};w=86400", quota.limit));
    set("ratelimit", format!("\"daily\";r={};t={wait}", quota.remaining));
}

/// Refuses a client whose day is used up before its upload is read. The charge itself is checked again, atomically.
pub async fn precheck(api: &Api, client: Client) -> Answer<Quota> {
    let quota = api.store.quota(client.0).await?;
    if quota.remaining == 0 { Err(over_quota(quota)) } else { Ok(quota) }
}

/// `answer` to a submit of `client`, with its quota as it stands now.
pub async fn with_headers(api: &Api, client: Client, answer: Answer) -> Response {
    let now = api.store.now();
    let (quota, exhausted) = match &answer {
        Err(problem) => (problem.quota, problem.code == ErrorCode::QuotaExceeded),
        Ok(_) => (None, false),
    };
    let mut response = answer.into_response();
    let quota = match quota {
        Some(quota) => Some(quota),
        None => api.store.quota(client.0).await.ok(),
    };
    if let Some(quota) = quota {
        write(response.headers_mut(), quota, now);
        if exhausted {
            response.headers_mut().insert(header::RETRY_AFTER, quota.seconds_to_reset(now).into());
        }
    }
    response
}
