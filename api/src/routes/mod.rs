//! The routes, each documented where it is handled.

pub mod batches;
pub mod enhance;
pub mod events;
pub mod jobs;
pub mod page;
pub mod result;
pub mod system;
pub mod webhooks;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi::{self, with_webhooks};
use crate::server::middleware;
use crate::state::Shared;

/// All routes with their documentation.
fn documented() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(jobs::submit))
        .routes(routes!(jobs::show, jobs::cancel))
        .routes(routes!(events::events))
        .routes(routes!(result::result))
        .routes(routes!(enhance::enhance))
        .routes(routes!(batches::submit_batch))
        .routes(routes!(batches::show_batch, batches::cancel_batch))
        .routes(routes!(events::batch_events))
        .routes(routes!(batches::results))
        .routes(routes!(webhooks::key))
        .routes(routes!(system::quota))
        .routes(routes!(system::models))
        .routes(routes!(system::health))
        .routes(routes!(system::ready))
        .routes(routes!(system::stats))
        .routes(routes!(system::metrics))
}

/// The document as it is served at `/openapi.json`.
pub fn document() -> OpenApi {
    with_webhooks(documented().into_openapi())
}

/// The whole service.
pub fn router(api: Shared) -> Router {
    let (routes, document) = documented().split_for_parts();
    // The validator badge would ask a server outside.
    let swagger = SwaggerUi::new("/docs")
        .url("/openapi.json", with_webhooks(document))
        .config(Config::default().validator_url("none"));
    let metrics = api.metrics.clone();
    let routes = routes.merge(page::routes()).with_state(api);
    middleware(routes.merge(swagger), metrics)
}
