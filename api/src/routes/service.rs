//! What the service says about itself: quota, models, health, readiness, numbers, metrics.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use remaster_shared::error::ErrorCode;
use remaster_shared::quota::Quota;

use crate::openapi::{MetricsRefused, StoreRefused};
use crate::parse::client::Client;
use crate::problem::{ApiResult, Problem};
use crate::render::metrics::exposition;
use crate::render::service::{Health, ModelList, Readiness, StatsView, WorkerView};
use crate::state::Shared;

/// Show the caller's quota
#[utoipa::path(
    get, path = "/quota", tag = "service",
    responses(
        (status = 200, description = "How many units are used and left today, and when the next day begins.", body = Quota),
        StoreRefused,
    ),
)]
pub async fn quota(State(api): State<Shared>, client: Client) -> ApiResult<Json<Quota>> {
    Ok(Json(api.store.quota(client.key).await?))
}

/// List the models, installed and missing
///
/// A model is installed when some worker has it.
#[utoipa::path(
    get, path = "/models", tag = "service",
    responses((status = 200, description = "Every known model.", body = ModelList), StoreRefused),
)]
pub async fn models(State(api): State<Shared>) -> ApiResult<Json<ModelList>> {
    Ok(Json(ModelList::from(&*api.fleet.current().await?)))
}

/// Check that the process is alive
#[utoipa::path(
    get, path = "/health", tag = "service",
    responses((status = 200, description = "The process is alive.", body = Health)),
)]
pub async fn health(State(api): State<Shared>) -> Json<Health> {
    Json(Health::at(api.store.now()))
}

/// Check that jobs can be taken and worked on
#[utoipa::path(
    get, path = "/ready", tag = "service",
    responses(
        (status = 200, description = "Every dependency is there.", body = Readiness),
        (status = 503, description = "A dependency is missing.", body = Readiness),
    ),
)]
pub async fn ready(State(api): State<Shared>) -> Response {
    let dependencies = api.dependencies.current(&api).await;
    let status = if dependencies.are_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness::from(dependencies))).into_response()
}

/// Show today's numbers
#[utoipa::path(
    get, path = "/stats", tag = "service",
    responses((status = 200, description = "The numbers.", body = StatsView), StoreRefused),
)]
pub async fn stats(State(api): State<Shared>) -> ApiResult<Json<StatsView>> {
    let (stats, fleet) = (api.store.stats().await?, api.fleet.current().await?);
    Ok(Json(StatsView {
        total_ips_today: stats.clients_today,
        total_requests_today: stats.requests_today,
        redis_connected: api.store.name() == "redis",
        daily_limit_per_ip: api.settings.daily_limit,
        store: api.store.name(),
        queue_depth: stats.queued,
        processing: stats.processing,
        workers: fleet.workers.len() as u64,
        fleet: fleet.workers.iter().map(WorkerView::from).collect(),
    }))
}

/// Export the metrics of this process for Prometheus
///
/// The answer is 404 when the service has a port of its own for metrics (`ADMIN_BIND`).
#[utoipa::path(
    get, path = "/metrics", tag = "service",
    responses(
        (status = 200, description = "The metrics as OpenMetrics text.", body = String, content_type = "application/openmetrics-text"),
        MetricsRefused,
    ),
)]
pub async fn metrics(State(api): State<Shared>) -> ApiResult {
    if !api.settings.metrics {
        return Err(Problem::new(ErrorCode::NotFound, "Metrics are answered on the port for administration."));
    }
    Ok(exposition(&*api.store, api.fleet.registry(), &api.metrics).await)
}
