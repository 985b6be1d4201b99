//! The quota in headers, on every answer to a submit: `X-Quota-*` and the IETF `RateLimit` fields.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use remaster_shared::error::ErrorCode;
use remaster_shared::quota::Quota;

use crate::parse::client::Client;
use crate::problem::ApiResult;
use crate::state::Api;

/// An answer that is sent at once, while `quota` is what the client has left.
pub fn knowing(quota: Quota, mut response: Response) -> Response {
    response.extensions_mut().insert(quota);
    response
}

/// Renders the answer to a submit of `client`, with its quota as it is now. A refusal over quota also gets `Retry-After`.
pub async fn with_quota(api: &Api, client: Client, answer: ApiResult) -> Response {
    let now = api.store.now();
    let (known, exceeded) = match &answer {
        Err(problem) => (problem.quota, problem.code == ErrorCode::QuotaExceeded),
        Ok(_) => (None, false),
    };
    let mut response = answer.into_response();
    let quota = match known.or_else(|| response.extensions_mut().remove()) {
        Some(quota) => Some(quota),
        // If the store does not answer, the answer is sent without these headers.
        None => api.store.quota(client.key).await.ok(),
    };
    if let Some(quota) = quota {
        insert(response.headers_mut(), quota, now);
        if exceeded {
            response.headers_mut().insert(header::RETRY_AFTER, quota.seconds_to_reset(now).into());
        }
    }
    response
}

fn insert(headers: &mut HeaderMap, quota: Quota, now: Timestamp) {
    let seconds = quota.seconds_to_reset(now);
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    set("x-quota-used", quota.used.to_string());
    set("x-quota-limit", quota.limit.to_string());
    set("x-quota-reset", quota.reset.to_string());
    set("ratelimit-policy", format!("\"daily\";q={};w=86400", quota.limit));
    set("ratelimit", format!("\"daily\";r={};t={seconds}", quota.remaining));
}
