//! The routes, each documented where it is handled.

pub mod enhance;
pub mod events;
pub mod jobs;
pub mod result;
pub mod system;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use utoipa_axum::{router::OpenApiRouter, routes};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::openapi;
use crate::server::middleware;
use crate::state::Shared;
use crate::upload::ENVELOPE;

/// All routes with their documentation.
pub(crate) fn documented() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(openapi::base())
        .routes(routes!(jobs::submit))
        .routes(routes!(jobs::show, jobs::cancel))
        .routes(routes!(events::events))
        .routes(routes!(result::result))
        .routes(routes!(enhance::enhance))
        .routes(routes!(system::quota))
        .routes(routes!(system::models))
        .routes(routes!(system::health))
        .routes(routes!(system::ready))
        .routes(routes!(system::stats))
        .routes(routes!(system::metrics))
}

/// The whole service.
pub fn router(api: Shared) -> Router {
    let (routes, document) = documented().split_for_parts();
    // The validator badge would ask a server outside.
    let swagger =
        SwaggerUi::new("/docs").url("/openapi.json", document).config(Config::default().validator_url("none"));
    // Of a whole form; the file in it has a cap of its own, counted as it streams.
    let form = usize::try_from(api.settings.max_upload_bytes + ENVELOPE).unwrap_or(usize::MAX);
    let metrics = api.metrics.clone();
    let routes = routes.layer(DefaultBodyLimit::max(form)).with_state(api);
    middleware(routes.merge(swagger), metrics)
}
