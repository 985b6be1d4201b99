//! Health and metrics on a port of their own. A worker node answers nothing else.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use remaster_shared::metrics::Metrics;
use remaster_store::{Jobs, WorkerRegistry};

use crate::render::metrics::exposition;
use crate::render::service::Health;
use crate::server::middleware;

#[derive(Clone)]
struct Admin {
    jobs: Arc<dyn Jobs>,
    registry: Arc<dyn WorkerRegistry>,
    metrics: Arc<Metrics>,
}

/// The routes `GET /health` and `GET /metrics`.
pub fn admin_router(jobs: Arc<dyn Jobs>, registry: Arc<dyn WorkerRegistry>, metrics: Arc<Metrics>) -> Router {
    let layer_metrics = metrics.clone();
    let routes = Router::new().route("/health", get(health)).route("/metrics", get(metrics_text)).with_state(Admin {
        jobs,
        registry,
        metrics,
    });
    middleware(routes, layer_metrics)
}

async fn health(State(admin): State<Admin>) -> Json<Health> {
    Json(Health::at(admin.jobs.now()))
}

async fn metrics_text(State(admin): State<Admin>) -> axum::response::Response {
    exposition(&*admin.jobs, &*admin.registry, &admin.metrics).await
}
