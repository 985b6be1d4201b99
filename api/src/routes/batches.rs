//! `GET` and `DELETE /batches/{id}`, and `GET /batches/{id}/results.zip`.

use axum::extract::rejection::QueryRejection;
use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use remaster_shared::job::{BatchId, BatchRecord, BatchStatus, BatchView};
use remaster_store::CancelError;

use crate::lookup::long_poll::{Wait, wait_until};
use crate::lookup::records::{batch_read_pause, find_batch};
use crate::openapi::{Binary, Canceled, NoZip, Versioned};
use crate::parse::base_url::BaseUrl;
use crate::parse::client::Client;
use crate::parse::id::batch_id;
use crate::parse::wait::{WaitQuery, query_wait};
use crate::problem::{ApiResult, Problem};
use crate::render::results_zip::results_zip;
use crate::render::view::{canceled, has_other_version, versioned};
use crate::state::Shared;

/// Look at a batch
///
/// The `ETag` changes with the batch, and `If-None-Match` answers 304 as long as it does not. With `?wait=N` the answer is
/// held until one of the counts of the batch changes.
#[utoipa::path(
    get, path = "/batches/{id}", tag = "batches", params(("id" = BatchId, Path), WaitQuery),
    responses(Versioned<BatchView>),
)]
pub async fn show_batch(
    State(api): State<Shared>,
    client: Client,
    BaseUrl(base): BaseUrl,
    Path(id): Path<String>,
    query: Result<Query<WaitQuery>, QueryRejection>,
    headers: HeaderMap,
) -> ApiResult {
    let (at_most, id) = (query_wait(query)?, batch_id(&id)?);
    let mut batch = find_batch(&api, id).await?;
    if let Some(at_most) = at_most
        && batch.status() == BatchStatus::Open
        && !has_other_version(&headers, &batch.view(&base))
    {
        let _turn = api.follows.take(client.key).await?;
        let seen = batch.counts();
        let wait = Wait { id: id.0, at_most, read_pause: batch_read_pause(&batch) };
        let has_changed = |batch: &BatchRecord| batch.counts() != seen;
        batch = wait_until(&api, wait, || find_batch(&api, id), has_changed).await?;
    }
    versioned(&batch.view(&base), &headers)
}

/// Cancel the rest of a batch
///
/// Each job is canceled as `DELETE /jobs/{id}` does it; finished jobs stay as they are. The answer is 200 when everything has ended
/// with that, and 202 while a running job has still to stop.
#[utoipa::path(
    delete, path = "/batches/{id}", tag = "batches", params(("id" = BatchId, Path)), responses(Canceled<BatchView>),
)]
pub async fn cancel_batch(State(api): State<Shared>, BaseUrl(base): BaseUrl, Path(id): Path<String>) -> ApiResult {
    let batch = api.store.cancel_batch(batch_id(&id)?).await.map_err(|error| match error {
        CancelError::NotFound => Problem::batch_not_found(),
        other => other.into(),
    })?;
    Ok(canceled(batch.status() != BatchStatus::Open, &batch.view(&base)))
}

/// Fetch the pictures of a batch as a ZIP
///
/// The ZIP of a finished batch has every picture that was made, uncompressed, under the name of its upload with the extension
/// `.png`. It is written while it is sent, so its length is not known before.
#[utoipa::path(
    get, path = "/batches/{id}/results.zip", tag = "batches", params(("id" = BatchId, Path)),
    responses(
        (status = 200, description = "The ZIP.", body = Binary, content_type = "application/zip"),
        NoZip,
    ),
)]
pub async fn results(State(api): State<Shared>, Path(id): Path<String>) -> ApiResult {
    let batch = find_batch(&api, batch_id(&id)?).await?;
    results_zip(&api, &batch)
}
