//! The answer to `GET /metrics`.

use axum::http::header;
use axum::response::{IntoResponse, Response};
use remaster_shared::metrics::{Metrics, StoreNumbers};
use remaster_store::{Jobs, WorkerRegistry};

/// The metrics as OpenMetrics text. If the store does not answer, its numbers are left out and the rest is there.
pub async fn exposition(jobs: &dyn Jobs, registry: &dyn WorkerRegistry, metrics: &Metrics) -> Response {
    let numbers = async {
        let (stats, workers) = (jobs.stats().await.ok()?, registry.workers().await.ok()?);
        let now = jobs.now();
        let live = workers.iter().filter(|worker| worker.is_live(now));
        let (workers, paused) =
            live.fold((0, 0), |(all, paused), worker| (all + 1, paused + u64::from(worker.said.paused.is_some())));
        Some(StoreNumbers { stats, workers, paused })
    };
    let text = metrics.text(numbers.await);
    ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
}
