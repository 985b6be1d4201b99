//! Health and metrics apart from the public port: all that a worker node answers.

use std::sync::Arc;

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use remaster_shared::metrics::Metrics;
use remaster_store::{Jobs, WorkerRegistry};

use crate::routes::system::{Health, exposition};
use crate::server::middleware;

#[derive(Clone)]
struct Admin {
    jobs: Arc<dyn Jobs>,
    registry: Arc<dyn WorkerRegistry>,
    metrics: Arc<Metrics>,
}

/// `GET /health` and `GET /metrics`.
pub fn admin_router(jobs: Arc<dyn Jobs>, registry: Arc<dyn WorkerRegistry>, metrics: Arc<Metrics>) -> Router {
    let health = |State(admin): State<Admin>| async move { Json(Health::at(admin.jobs.now())) };
    let counted = metrics.clone();
    let routes =
        Router::new().route("/health", get(health)).route(
            "/metrics",
            get(|State(admin): State<Admin>| async move {
                exposition(&*admin.jobs, &*admin.registry, &admin.metrics).await
            }),
        );
    middleware(routes.with_state(Admin { jobs, registry, metrics }), counted)
}
