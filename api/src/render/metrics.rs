//! The answer to `GET /metrics`.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use remaster_shared::metrics::{Metrics, StoreNumbers};
use remaster_store::{Jobs, StoreError, WorkerRegistry};

/// The metrics as OpenMetrics text. If the store does not answer, its numbers are left out and the rest is there.
pub async fn exposition(jobs: &dyn Jobs, registry: &dyn WorkerRegistry, metrics: &Metrics) -> Response {
    text(metrics.text(store_numbers(jobs, registry).await.ok()))
}

/// The metrics of this process alone, for a worker node: what all nodes have in common is told by the API nodes.
pub fn own_exposition(metrics: &Metrics) -> Response {
    text(metrics.text(None))
}

async fn store_numbers(jobs: &dyn Jobs, registry: &dyn WorkerRegistry) -> Result<StoreNumbers, StoreError> {
    let (stats, queue, workers) = (jobs.stats().await?, jobs.gauges().await?, registry.workers().await?);
    let now = jobs.now();
    let live = workers.iter().filter(|worker| worker.is_live(now));
    let (workers, paused) =
        live.fold((0, 0), |(all, paused), worker| (all + 1, paused + u64::from(worker.said.paused.is_some())));
    let oldest = queue.oldest.and_then(|submitted| now.duration_since(submitted).try_into().ok()).unwrap_or_default();
    Ok(StoreNumbers { stats, queue, oldest, workers, paused })
}

fn text(metrics: String) -> Response {
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics).into_response()
}
