//! `GET /webhooks/key`.

use axum::Json;
use axum::extract::State;

use crate::render::service::WebhookKeys;
use crate::state::Shared;

/// Show the public keys of webhooks
///
/// Each webhook has a `v1a` signature by each of these keys, as Standard Webhooks 1.0 defines.
#[utoipa::path(
    get, path = "/webhooks/key", tag = "webhooks",
    responses((status = 200, description = "The public keys.", body = WebhookKeys)),
)]
pub async fn key(State(api): State<Shared>) -> Json<WebhookKeys> {
    Json(WebhookKeys::from(&*api.settings.webhooks.public_keys))
}
