//! The routes. Each handler parses its request, submits or looks up, and renders; its documentation stands above it.

mod batch_submit;
mod batches;
mod enhance;
mod events;
mod job_submit;
mod jobs;
mod page;
mod result;
mod service;
mod webhooks;

use axum::Router;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi::{base, with_webhooks};
use crate::server::middleware;
use crate::state::Shared;

/// The OpenAPI document as it is served at `/openapi.json`.
pub fn document() -> OpenApi {
    with_webhooks(documented().into_openapi())
}

/// The whole service: every route, the documentation pages, and the middleware around them.
pub fn router(api: Shared) -> Router {
    let (routes, document) = documented().split_for_parts();
    // The validator badge of Swagger UI would ask a server outside.
    let swagger = SwaggerUi::new("/docs")
        .url("/openapi.json", with_webhooks(document))
        .config(Config::default().validator_url("none"));
    let (metrics, hosts) = (api.metrics.clone(), api.settings.hosts.clone());
    let routes = routes.merge(page::routes()).with_state(api);
    middleware(routes.merge(swagger), hosts, metrics)
}

/// All routes with their documentation.
fn documented() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(base())
        .routes(routes!(job_submit::submit))
        .routes(routes!(jobs::show, jobs::cancel))
        .routes(routes!(events::events))
        .routes(routes!(result::result))
        .routes(routes!(enhance::enhance))
        .routes(routes!(batch_submit::submit_batch))
        .routes(routes!(batches::show_batch, batches::cancel_batch))
        .routes(routes!(events::batch_events))
        .routes(routes!(batches::results))
        .routes(routes!(webhooks::key))
        .routes(routes!(service::quota))
        .routes(routes!(service::models))
        .routes(routes!(service::health))
        .routes(routes!(service::ready))
        .routes(routes!(service::stats))
        .routes(routes!(service::metrics))
}
