//! Health and metrics apart from the public port: all that a worker node answers.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use remaster_shared::metrics::Metrics;
use remaster_shared::store::SharedStore;

use crate::routes::system::Health;
use crate::server::middleware;

#[derive(Clone)]
struct Admin {
    store: SharedStore,
    metrics: Arc<Metrics>,
}

/// `GET /health` and `GET /metrics`.
pub fn admin_router(store: SharedStore, metrics: Arc<Metrics>) -> Router {
    let health = |State(admin): State<Admin>| async move { Json(Health::at(admin.store.now())) };
    let counted = metrics.clone();
    let routes = Router::new().route("/health", get(health)).route(
        "/metrics",
        get(|State(admin): State<Admin>| async move { exposition(&admin.store, &admin.metrics).await }),
    );
    middleware(routes.with_state(Admin { store, metrics }), counted)
}

/// The metrics as Prometheus reads them. A store that does not answer is no reason not to tell the rest.
pub async fn exposition(store: &SharedStore, metrics: &Metrics) -> Response {
    let numbers = async {
        let (stats, workers) = (store.stats().await.ok()?, store.workers().await.ok()?);
        let now = store.now();
        Some((stats, workers.iter().filter(|worker| worker.is_live(now)).count()))
    };
    let text = metrics.text(numbers.await);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
