//! What a receiver of webhooks needs to know.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::state::Shared;

#[derive(Serialize, ToSchema)]
pub struct WebhookKeys {
    /// `whpk_` and base64 of the newest ed25519 public key.
    key: String,
    /// All keys that sign now, newest first. While a key is being replaced there are two, and each webhook has a signature of
    /// each.
    keys: Vec<String>,
}

/// The public key of webhooks
///
/// Each webhook has a `v1a` signature of it, as Standard Webhooks 1.0 defines.
#[utoipa::path(
    get, path = "/webhooks/key", tag = "webhooks",
    responses((status = 200, description = "The key", body = WebhookKeys)),
)]
pub async fn key(State(api): State<Shared>) -> Json<WebhookKeys> {
    let keys = api.settings.webhooks.public_keys.clone();
    Json(WebhookKeys { key: keys.first().cloned().unwrap_or_default(), keys })
}
