//! What operators look at: the queue as a whole, jobs, and the quota of a client.

use std::net::IpAddr;

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use jiff::Timestamp;
use remaster_shared::client::ClientKey;
use remaster_shared::error::ErrorCode;
use remaster_shared::fleet::{Announcement, WorkerSeen};
use remaster_shared::job::{JobRecord, JobView, UrlBase};
use remaster_shared::quota::Quota;
use remaster_shared::stats::Stats;
use remaster_store::JobList;
use serde::{Deserialize, Serialize};

use super::Admin;
use crate::parse::id::job_id;
use crate::problem::{ApiResult, Problem};

/// The most jobs that one answer lists.
const MAX_LISTED: usize = 1000;

/// The queue as a whole.
#[derive(Serialize)]
pub struct Queue {
    paused: bool,
    queued: u64,
    processing: u64,
    clients_today: u64,
    units_today: u64,
    workers: Vec<Worker>,
}

/// A worker, also one that was heard of lately and is gone.
#[derive(Serialize)]
struct Worker {
    #[serde(flatten)]
    said: Announcement,
    seen_at: Timestamp,
    drained: bool,
}

/// `GET /queue`
pub async fn queue(State(admin): State<Admin>) -> ApiResult<Json<Queue>> {
    let (paused, drained) = (admin.operations.is_paused().await?, admin.operations.drained().await?);
    let Stats { clients_today, requests_today, queued, processing } = admin.operations.stats().await?;
    let seen = admin.registry.workers().await?.into_iter();
    let worker =
        |seen: WorkerSeen| Worker { drained: drained.contains(&seen.said.name), seen_at: seen.at, said: seen.said };
    let workers = seen.map(worker).collect();
    Ok(Json(Queue { paused, queued, processing, clients_today, units_today: requests_today, workers }))
}

/// A job as operators see it.
#[derive(Serialize)]
pub struct OperatorJob {
    /// The hash by which the client's address is known.
    client: String,
    #[serde(flatten)]
    job: JobView,
}

impl From<JobRecord> for OperatorJob {
    fn from(job: JobRecord) -> Self {
        Self { client: job.client.to_string(), job: job.view(&UrlBase::new("")) }
    }
}

/// Which jobs to list.
#[derive(Deserialize)]
pub struct ListQuery {
    status: Option<String>,
    code: Option<String>,
    limit: Option<usize>,
}

/// `GET /jobs?status=failed|processing|queued&code=…&limit=…`
pub async fn jobs(
    State(admin): State<Admin>,
    query: Result<Query<ListQuery>, QueryRejection>,
) -> ApiResult<Json<Vec<OperatorJob>>> {
    let Query(query) = query.map_err(|error| Problem::new(ErrorCode::InvalidParameter, error.body_text()))?;
    let code = query.code.as_deref().map(error_code).transpose()?;
    let list = match (query.status.as_deref().unwrap_or("failed"), code) {
        ("failed", code) => JobList::Failed(code),
        ("processing", None) => JobList::Processing,
        ("queued", None) => JobList::Waiting,
        ("processing" | "queued", Some(code)) => {
            return Err(Problem::parameter("code", code.as_str(), "nothing unless status is failed"));
        }
        (other, _) => return Err(Problem::parameter("status", other, "failed, processing or queued")),
    };
    let limit = query.limit.unwrap_or(100).clamp(1, MAX_LISTED);
    let listed = admin.operations.list(list, limit).await?;
    Ok(Json(listed.into_iter().map(OperatorJob::from).collect()))
}

/// The error code of this name.
pub fn error_code(name: &str) -> ApiResult<ErrorCode> {
    let named = ErrorCode::ALL.iter().copied().find(|code| code.as_str() == name);
    named.ok_or_else(|| Problem::parameter("code", name, "an error code, such as internal (docs/api.md lists them)"))
}

/// `GET /jobs/{id}`
pub async fn job(State(admin): State<Admin>, Path(id): Path<String>) -> ApiResult<Json<OperatorJob>> {
    let job = admin.operations.get(job_id(&id)?).await?.ok_or_else(Problem::job_not_found)?;
    Ok(Json(job.into()))
}

/// `GET /clients/{address}/quota`
pub async fn quota(State(admin): State<Admin>, Path(address): Path<String>) -> ApiResult<Json<Quota>> {
    Ok(Json(admin.operations.quota(client(&admin, &address)?).await?))
}

/// The client with this address.
pub fn client(admin: &Admin, address: &str) -> ApiResult<ClientKey> {
    let parsed: Result<IpAddr, _> = address.parse();
    let address = parsed.map_err(|_| Problem::parameter("address", address, "an IP address, such as 203.0.113.7"))?;
    Ok(admin.operations.hasher().key(address))
}
