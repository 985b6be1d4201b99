//! The answer to `GET /batches/{id}/results.zip`.

use axum::body::Body;
use axum::http::header;
use axum::response::IntoResponse;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{BatchRecord, BatchStatus, Status};

use super::entry_names::EntryNames;
use super::zip_stream::{ZipEntry, zip_stream};
use crate::problem::{ApiResult, Problem};
use crate::state::Api;

/// 200 with the pictures of a finished batch as a ZIP.
///
/// # Errors
/// 409 `not_finished`, 410 `result_expired`, or 404 `not_found` when no job of the batch succeeded.
pub fn results_zip(api: &Api, batch: &BatchRecord) -> ApiResult {
    let entries = entries(batch)?;
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"remaster-{}.zip\"", batch.id)),
        (header::CACHE_CONTROL, "private, no-store".to_owned()),
    ];
    Ok((headers, Body::from_stream(zip_stream(api.blobs.clone(), entries))).into_response())
}

fn entries(batch: &BatchRecord) -> ApiResult<Vec<ZipEntry>> {
    if batch.status() == BatchStatus::Open {
        let detail = "The batch is not finished; its jobs' own results are there one by one.";
        return Err(Problem::new(ErrorCode::NotFinished, detail));
    }
    // A ZIP without the pictures that have expired would look complete, so there is none at all.
    if batch.jobs.iter().any(|job| job.status == Status::Expired) {
        let detail = "The time of the first results is over; those that are left are there one by one.";
        return Err(Problem::new(ErrorCode::ResultExpired, detail));
    }
    let mut names = EntryNames::default();
    let succeeded = batch.jobs.iter().filter(|job| job.status == Status::Succeeded);
    let entries: Vec<_> = succeeded
        .filter_map(|job| Some((job, job.output_key()?)))
        .map(|(job, key)| ZipEntry {
            name: names.next(job.input.filename.as_deref(), job.params.format.extension()),
            key,
            bytes: job.result.as_ref().map_or(0, |result| result.bytes),
            modified: job.finished_at.unwrap_or(batch.created_at),
        })
        .collect();
    if entries.is_empty() {
        return Err(Problem::new(ErrorCode::NotFound, "No picture came of this batch; each of its jobs says why."));
    }
    Ok(entries)
}
