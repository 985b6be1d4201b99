//! `POST /batches`.

use axum::extract::{Request, State};
use axum::response::Response;
use remaster_shared::job::BatchView;

use crate::openapi::{Accepted, BatchForm, BatchRefused, ImageUrls, OptionParams};
use crate::parse::base_url::BaseUrl;
use crate::parse::client::Client;
use crate::parse::idempotency::IdempotencyHeader;
use crate::parse::options::QueryPairs;
use crate::parse::submit_request::SubmitReader;
use crate::problem::ApiResult;
use crate::render::quota_headers::{knowing, with_quota};
use crate::render::view::{accepted, mark_replayed};
use crate::state::Shared;
use crate::submit::{self, Submitted};

/// Submit many images
///
/// Send `multipart/form-data` with each image in a part named `file`, or JSON with their addresses as `image_urls`; the options apply to all of them. Every file becomes a
/// job of the batch, in the order in which the files are sent. A file that is refused (because it is not a picture, is
/// truncated or is too large) becomes a job that has failed from the start and costs nothing, and the other files go on. When
/// every file is refused, the batch is refused with the code of the first file. The quota is charged for all files that are
/// accepted, or the batch is refused. One webhook is sent to `webhook_url`, when the whole batch has ended (`batch.completed`).
#[utoipa::path(
    post, path = "/batches", tag = "batches", params(OptionParams, IdempotencyHeader),
    request_body(content((BatchForm = "multipart/form-data"), (ImageUrls = "application/json"))),
    responses(Accepted<BatchView>, BatchRefused),
)]
pub async fn submit_batch(
    State(api): State<Shared>,
    client: Client,
    BaseUrl(base): BaseUrl,
    query: QueryPairs,
    request: Request,
) -> Response {
    let reader = SubmitReader { api: &api, client, base: &base, route: "batches" };
    let answer = answer(reader, query, request).await;
    with_quota(&api, client, answer).await
}

async fn answer(reader: SubmitReader<'_>, query: QueryPairs, request: Request) -> ApiResult {
    let request = reader.batch(query, request).await?;
    let Submitted { record, quota, replayed } = submit::submit_batch(reader.api, request).await?;
    let view = record.view(reader.base);
    Ok(knowing(quota, mark_replayed(accepted(&view.urls.self_url, &view), replayed)))
}
