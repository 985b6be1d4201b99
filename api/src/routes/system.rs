//! What the service says of itself.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use remaster_shared::catalogue::ModelInfo;
use remaster_shared::quota::Quota;
use serde::Serialize;
use utoipa::ToSchema;

use crate::client::Client;
use crate::problem::{Answer, ProblemBody};
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
    models: Vec<ModelInfo>,
}

/// Models, installed and missing
#[utoipa::path(get, path = "/models", tag = "service", responses((status = 200, description = "Every known model", body = ModelList)))]
pub async fn models(State(api): State<Shared>) -> Json<ModelList> {
    Json(ModelList { models: api.catalogue.models() })
}

#[derive(Serialize, ToSchema)]
pub struct Health {
    status: &'static str,
    #[schema(value_type = String, format = DateTime)]
    timestamp: Timestamp,
    service: &'static str,
}

/// Whether the process lives
#[utoipa::path(get, path = "/health", tag = "service", responses((status = 200, description = "It does", body = Health)))]
pub async fn health(State(api): State<Shared>) -> Json<Health> {
    Json(Health { status: "ok", timestamp: api.store.now(), service: "remaster" })
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
    let stats = api.store.stats().await;
    let either = |ok, no| if ok { "ok" } else { no };
    let upscaler = api.catalogue.models().iter().any(|model| model.installed && model.kind == "upscaler");
    let mut readiness = Readiness {
        status: "ok",
        store: either(stats.is_ok(), "unreachable"),
        storage: either(api.blobs.ping().await.is_ok(), "unreachable"),
        models: either(upscaler || !api.settings.use_realesrgan, "no upscaler installed"),
        workers: either(stats.is_ok_and(|stats| stats.workers > 0), "none seen"),
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
    workers: u64,
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
    let stats = api.store.stats().await?;
    Ok(Json(StatsView {
        total_ips_today: stats.clients_today,
        total_requests_today: stats.requests_today,
        redis_connected: api.store.name() == "redis",
        daily_limit_per_ip: api.settings.daily_limit,
        store: api.store.name(),
        queue_depth: stats.queued,
        processing: stats.processing,
        workers: stats.workers,
    }))
}
