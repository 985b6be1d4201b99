//! The `Idempotency-Key` header, and the fingerprint that tells a repeated request from another one with the same key.

use axum::http::HeaderMap;
use remaster_shared::error::ErrorCode;
use remaster_shared::idempotency::{FingerprintBuilder, IdempotencyKey};

use crate::problem::{ApiResult, Problem};

const HEADER: &str = "idempotency-key";

/// The header in the OpenAPI document.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its documentation is used")]
pub struct IdempotencyHeader {
    /// A key of 1 to 255 visible ASCII characters that the caller chooses. When a request is sent again with the same key, it
    /// is not carried out again.
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
}

/// Something uploaded that is part of what a request asks for.
pub trait Fingerprinted {
    /// Adds it to the fingerprint of its request.
    fn add_to(&self, fingerprint: FingerprintBuilder) -> FingerprintBuilder;
}

/// Whether the request has a key, be it valid or not.
pub fn is_given(headers: &HeaderMap) -> bool {
    headers.contains_key(HEADER)
}

/// The key of the request, if it has one.
///
/// # Errors
/// 400 `invalid_parameter` when the header is repeated or is not a key.
pub fn idempotency_key(headers: &HeaderMap) -> ApiResult<Option<IdempotencyKey>> {
    let invalid = |detail: String| Problem::new(ErrorCode::InvalidParameter, detail);
    let mut values = headers.get_all(HEADER).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(invalid("Idempotency-Key is given more than once.".into()));
    }
    let text = value.to_str().map_err(|_| invalid("Idempotency-Key takes visible ASCII characters.".into()))?;
    text.parse().map(Some).map_err(|error| invalid(format!("Idempotency-Key: {error}.")))
}
