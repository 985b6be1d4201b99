//! What the service says of itself.

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use remaster_shared::catalogue::{Kind, ModelInfo};
use remaster_shared::error::ErrorCode;
use remaster_shared::fleet::WorkerSeen;
use remaster_shared::metrics::Metrics;
use remaster_shared::quota::Quota;
use remaster_store::{Jobs, WorkerRegistry};
use serde::Serialize;
use utoipa::ToSchema;

use crate::client::Client;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::state::Shared;

/// The caller's quota
#[utoipa::path(
    get, path = "/quota", tag = "service",
    responses(
        (status = 200, description = "Used, limit, remaining, reset", body = Quota),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn quota(State(api): State<Shared>, client: Client) -> Answer<Json<Quota>> {
    Ok(Json(api.store.quota(client.0).await?))
}

#[derive(Serialize, ToSchema)]
pub struct ModelList {
    models: Vec<ModelView>,
}

/// A model, and how many workers have it now.
#[derive(Serialize, ToSchema)]
pub struct ModelView {
    #[serde(flatten)]
    model: ModelInfo,
    workers: u64,
}

/// Models, installed and missing
///
/// Installed is what some worker has.
#[utoipa::path(
    get, path = "/models", tag = "service",
    responses(
        (status = 200, description = "Every known model", body = ModelList),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn models(State(api): State<Shared>) -> Answer<Json<ModelList>> {
    let fleet = api.fleet.now().await?;
    let view = |model: &ModelInfo| ModelView { model: model.clone(), workers: fleet.workers_with(&model.id) };
    Ok(Json(ModelList { models: fleet.models.iter().map(view).collect() }))
}

#[derive(Serialize, ToSchema)]
pub struct Health {
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    service: &'static str,
}

impl Health {
    pub fn at(timestamp: Timestamp) -> Self {
        Self { status: "ok", timestamp, service: "remaster" }
    }
}

/// Whether the process lives
#[utoipa::path(get, path = "/health", tag = "service", responses((status = 200, description = "It does", body = Health)))]
pub async fn health(State(api): State<Shared>) -> Json<Health> {
    Json(Health::at(api.store.now()))
}

/// Each dependency, `ok` or what is wrong with it.
#[derive(Serialize, ToSchema)]
pub struct Readiness {
    status: &'static str,
    store: &'static str,
    storage: &'static str,
    models: &'static str,
    workers: &'static str,
}

/// Whether jobs can be taken and worked on
#[utoipa::path(
    get, path = "/ready", tag = "service",
    responses(
        (status = 200, description = "Everything is there", body = Readiness),
        (status = 503, description = "Something is missing", body = Readiness),
    ),
)]
pub async fn ready(State(api): State<Shared>) -> Response {
    let (store, storage, fleet) = tokio::join!(api.store.stats(), api.blobs.ping(), api.fleet.now());
    let fleet = fleet.unwrap_or_default();
    let either = |ok, no| if ok { "ok" } else { no };
    let mut readiness = Readiness {
        status: "ok",
        store: either(store.is_ok(), "unreachable"),
        storage: either(storage.is_ok(), "unreachable"),
        models: either(fleet.has_kind(Kind::Upscaler) || !api.settings.use_realesrgan, "no upscaler on any worker"),
        workers: either(!fleet.workers.is_empty(), "none seen"),
    };
    let ready =
        [readiness.store, readiness.storage, readiness.models, readiness.workers].iter().all(|part| *part == "ok");
    if ready {
        return Json(readiness).into_response();
    }
    readiness.status = "unavailable";
    (StatusCode::SERVICE_UNAVAILABLE, Json(readiness)).into_response()
}

#[derive(Serialize, ToSchema)]
pub struct StatsView {
    total_ips_today: u64,
    /// Units charged today.
    total_requests_today: u64,
    redis_connected: bool,
    daily_limit_per_ip: u64,
    /// `sqlite` or `redis`.
    store: &'static str,
    /// Jobs waiting.
    queue_depth: u64,
    /// Jobs being worked on.
    processing: u64,
    /// Workers that are there now.
    workers: u64,
    /// What each of them says of itself.
    fleet: Vec<WorkerView>,
}

#[derive(Serialize, ToSchema)]
pub struct WorkerView {
    name: String,
    version: String,
    /// `cpu`, `cuda:0`, …
    device: String,
    /// Ids of the models it has.
    models: Vec<String>,
    /// Jobs at once.
    jobs: u32,
    in_flight: u32,
    #[schema(value_type = String, format = DateTime)]
    last_seen: Timestamp,
}

impl From<&WorkerSeen> for WorkerView {
    fn from(WorkerSeen { said, at }: &WorkerSeen) -> Self {
        Self {
            name: said.name.clone(),
            version: said.version.clone(),
            device: said.device.clone(),
            models: said.models.iter().map(|model| model.id.clone()).collect(),
            jobs: said.jobs,
            in_flight: said.in_flight,
            last_seen: *at,
        }
    }
}

/// Today's numbers
#[utoipa::path(
    get, path = "/stats", tag = "service",
    responses(
        (status = 200, description = "Counts", body = StatsView),
        (status = 503, description = "`store_unavailable`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn stats(State(api): State<Shared>) -> Answer<Json<StatsView>> {
    let (stats, fleet) = (api.store.stats().await?, api.fleet.now().await?);
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

/// What this process counts, for Prometheus
///
/// Not here when the service has a port of its own for it (`ADMIN_BIND`).
#[utoipa::path(
    get, path = "/metrics", tag = "service",
    responses(
        (status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"),
        (status = 404, description = "`not_found`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn metrics(State(api): State<Shared>) -> Answer {
    if !api.settings.metrics {
        return Err(Problem::new(ErrorCode::NotFound, "Metrics are answered on the port for administration."));
    }
    Ok(exposition(&*api.store, api.fleet.registry(), &api.metrics).await)
}

/// The metrics as Prometheus reads them. A store that does not answer is no reason not to tell the rest.
pub async fn exposition(jobs: &dyn Jobs, registry: &dyn WorkerRegistry, metrics: &Metrics) -> Response {
    let numbers = async {
        let (stats, workers) = (jobs.stats().await.ok()?, registry.workers().await.ok()?);
        let now = jobs.now();
        Some((stats, workers.iter().filter(|worker| worker.is_live(now)).count()))
    };
    let text = metrics.text(numbers.await);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
