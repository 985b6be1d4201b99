//! Health, metrics and what operators do by hand, with a page for it, on a port of their own. A worker node answers nothing else.

mod actions;
mod listing;
mod page;

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use remaster_shared::metrics::Metrics;
use remaster_store::{Operations, WorkerRegistry};
use serde_json::json;

use crate::hosts::Hosts;
use crate::render::metrics::{exposition, own_exposition};
use crate::render::service::Health;
use crate::server::middleware;

/// Whether a worker takes jobs, or else why not, in words.
pub type WorkerState = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the routes of the administration port work with.
#[derive(Clone)]
pub struct Admin {
    /// The job store.
    pub operations: Arc<dyn Operations>,
    /// Where the workers announce themselves.
    pub registry: Arc<dyn WorkerRegistry>,
    /// The counters behind `GET /metrics`.
    pub metrics: Arc<Metrics>,
    /// The hosts that requests may name.
    pub hosts: Hosts,
    /// Tells whether this process's worker takes jobs, or else why not; `None` where there is no worker.
    pub worker: Option<WorkerState>,
    /// Whether the metrics include what all nodes have in common, which is read from the store.
    pub metrics_of_all: bool,
}

/// Every route of the administration port; docs/operations.md describes them. Nobody is asked who they are: the port is to be
/// reachable by operators only.
pub fn admin_router(admin: Admin) -> Router {
    let (layer_metrics, hosts) = (admin.metrics.clone(), admin.hosts.clone());
    let routes = Router::new()
        .route("/health", get(health))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .route("/queue", get(listing::queue))
        .route("/jobs", get(listing::jobs))
        .route("/jobs/{id}", get(listing::job))
        .route("/jobs/{id}/requeue", post(actions::requeue))
        .route("/requeue", post(actions::requeue_all))
        .route("/pause", post(actions::pause))
        .route("/resume", post(actions::resume))
        .route("/workers/{name}/drain", post(actions::drain))
        .route("/workers/{name}/resume", post(actions::undrain))
        .route("/clients/{address}/quota", get(listing::quota).post(actions::adjust_quota))
        .route("/clients/{address}/purge", post(actions::purge))
        .route("/webhooks/{id}/resend", post(actions::resend))
        .merge(page::routes())
        .layer(from_fn_with_state(hosts.clone(), page::refuse_others))
        .with_state(admin);
    middleware(routes, hosts, layer_metrics)
}

async fn health(State(admin): State<Admin>) -> Json<Health> {
    Json(Health::at(admin.operations.now()))
}

/// Whether this process does what it is there for. A worker that takes no jobs says why.
async fn ready(State(admin): State<Admin>) -> Response {
    match admin.worker.map_or(Ok(()), |worker| worker()) {
        Ok(()) => Json(json!({ "status": "ok" })).into_response(),
        Err(reason) => {
            let body = Json(json!({ "status": "unavailable", "worker": reason }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

async fn metrics_text(State(admin): State<Admin>) -> Response {
    if admin.metrics_of_all {
        exposition(&*admin.operations, &*admin.registry, &admin.metrics).await
    } else {
        own_exposition(&admin.metrics)
    }
}
