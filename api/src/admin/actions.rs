//! What operators do. Every action is logged.

use std::collections::HashSet;

use axum::Json;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use remaster_shared::error::ErrorCode;
use remaster_shared::job::JobRecord;
use remaster_shared::quota::Quota;
use remaster_store::rules::job::Refused;
use remaster_store::{JobList, RequeueError};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Admin;
use super::listing::{OperatorJob, client, error_code};
use crate::parse::id::job_id;
use crate::problem::{ApiResult, Problem};

/// While all failed jobs are queued again: how many are listed first, and how many at most.
const STEP: usize = 500;
const MOST: usize = 20_000;
/// The most units that are given or taken at once.
const MOST_UNITS: i64 = 1_000_000;

/// `POST /jobs/{id}/requeue`
pub async fn requeue(State(admin): State<Admin>, Path(id): Path<String>) -> ApiResult<Json<OperatorJob>> {
    let id = job_id(&id)?;
    let job = admin.operations.requeue(id).await?;
    tracing::info!(job = %id, "an operator queued a failed job again");
    Ok(Json(job.into()))
}

/// Which failed jobs to queue again.
#[derive(Deserialize)]
pub struct RequeueQuery {
    code: String,
}

/// What came of it.
#[derive(Serialize)]
pub struct Requeued {
    requeued: u64,
    /// Jobs whose inputs are not kept any more.
    too_old: u64,
}

/// `POST /requeue?code=…`: every job that failed with this code and whose input is kept.
pub async fn requeue_all(
    State(admin): State<Admin>,
    query: Result<Query<RequeueQuery>, QueryRejection>,
) -> ApiResult<Json<Requeued>> {
    let Query(query) = query.map_err(|error| Problem::new(ErrorCode::InvalidParameter, error.body_text()))?;
    let list = JobList::Failed(Some(error_code(&query.code)?));
    // A job that fails again meanwhile is not queued a second time.
    let began = admin.operations.now();
    let (mut done, mut seen, mut limit) = (Requeued { requeued: 0, too_old: 0 }, HashSet::new(), STEP);
    loop {
        let failed = admin.operations.list(list, limit).await?;
        let is_last = failed.len() < limit;
        let before = |job: &JobRecord| job.finished_at.is_some_and(|finished| finished <= began);
        let new: Vec<_> = failed.into_iter().filter(|job| before(job) && seen.insert(job.id)).collect();
        if new.is_empty() && (is_last || limit >= MOST) {
            break;
        }
        // What cannot be queued stays on the list, before what is older.
        limit = (limit + done.too_old as usize + STEP).min(MOST);
        for job in new {
            match admin.operations.requeue(job.id).await {
                Ok(_) => done.requeued += 1,
                Err(RequeueError::Store(error)) => return Err(error.into()),
                Err(RequeueError::Refused(Refused::InputGone)) => done.too_old += 1,
                // Somebody else was faster.
                Err(_) => {}
            }
        }
    }
    tracing::info!(code = query.code, jobs = done.requeued, "an operator queued failed jobs again");
    Ok(Json(done))
}

/// Whether claiming is paused now.
#[derive(Serialize)]
pub struct Paused {
    paused: bool,
}

/// `POST /pause`
pub async fn pause(State(admin): State<Admin>) -> ApiResult<Json<Paused>> {
    set_paused(&admin, true).await
}

/// `POST /resume`
pub async fn resume(State(admin): State<Admin>) -> ApiResult<Json<Paused>> {
    set_paused(&admin, false).await
}

async fn set_paused(admin: &Admin, paused: bool) -> ApiResult<Json<Paused>> {
    admin.operations.set_paused(paused).await?;
    tracing::info!(paused, "an operator paused or resumed claiming");
    Ok(Json(Paused { paused }))
}

/// Whether the worker is drained now.
#[derive(Serialize)]
pub struct Drained {
    worker: String,
    drained: bool,
}

/// `POST /workers/{name}/drain`
pub async fn drain(State(admin): State<Admin>, Path(name): Path<String>) -> ApiResult<Json<Drained>> {
    set_drained(&admin, name, true).await
}

/// `POST /workers/{name}/resume`
pub async fn undrain(State(admin): State<Admin>, Path(name): Path<String>) -> ApiResult<Json<Drained>> {
    set_drained(&admin, name, false).await
}

async fn set_drained(admin: &Admin, worker: String, drained: bool) -> ApiResult<Json<Drained>> {
    let known = admin.registry.workers().await?.iter().any(|seen| seen.said.name == worker);
    if drained && !known {
        return Err(Problem::new(ErrorCode::NotFound, "There is no such worker; GET /queue lists them."));
    }
    admin.operations.set_drained(&worker, drained).await?;
    tracing::info!(worker, drained, "an operator drained or resumed a worker");
    Ok(Json(Drained { worker, drained }))
}

/// How many jobs were canceled.
#[derive(Serialize)]
pub struct Purged {
    canceled: u64,
}

/// `POST /clients/{address}/purge`
pub async fn purge(State(admin): State<Admin>, Path(address): Path<String>) -> ApiResult<Json<Purged>> {
    let client = client(&admin, &address)?;
    let mut canceled = 0;
    loop {
        match admin.operations.purge(client).await? {
            0 => break,
            some => canceled += some,
        }
    }
    tracing::info!(%client, jobs = canceled, "an operator canceled the waiting jobs of a client");
    Ok(Json(Purged { canceled }))
}

/// Units to give back, or to take if the number is negative.
#[derive(Deserialize)]
pub struct Adjustment {
    give_back: i64,
}

/// `POST /clients/{address}/quota` with `{"give_back": units}`
pub async fn adjust_quota(
    State(admin): State<Admin>,
    Path(address): Path<String>,
    adjustment: Result<Json<Adjustment>, JsonRejection>,
) -> ApiResult<Json<Quota>> {
    let Json(Adjustment { give_back }) =
        adjustment.map_err(|error| Problem::new(ErrorCode::InvalidParameter, error.body_text()))?;
    if give_back.abs() > MOST_UNITS {
        return Err(Problem::parameter("give_back", &give_back.to_string(), "a number of units up to a million"));
    }
    let client = client(&admin, &address)?;
    let quota = admin.operations.adjust_quota(client, give_back).await?;
    tracing::info!(%client, give_back, used = quota.used, "an operator adjusted the quota of a client");
    Ok(Json(quota))
}

/// Whether the webhook is sent again.
#[derive(Serialize)]
pub struct Resent {
    resent: bool,
}

/// `POST /webhooks/{id}/resend`, with the id of a job or a batch
pub async fn resend(State(admin): State<Admin>, Path(id): Path<String>) -> ApiResult<Json<Resent>> {
    let subject: Uuid = id.parse().map_err(|_| Problem::parameter("id", &id, "the id of a job or a batch"))?;
    if !admin.operations.resend(subject).await? {
        let detail = "There is no webhook to send: the job or batch has none, has not ended, or is not remembered.";
        return Err(Problem::new(ErrorCode::NotFound, detail));
    }
    tracing::info!(%subject, "an operator sends a webhook again");
    Ok(Json(Resent { resent: true }))
}
