//! `POST /enhance`: an image in and a picture out, through the same queue as every other job.

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::Response;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{JobId, JobRecord, JobView, Status, UrlBase};

use crate::lookup::long_poll::wait_for_end;
use crate::openapi::{Binary, EnhanceRefused, EnhancedPicture, ImageUrl, OptionParams, UploadForm};
use crate::parse::base_url::BaseUrl;
use crate::parse::client::Client;
use crate::parse::idempotency::{IdempotencyHeader, is_given};
use crate::parse::options::QueryPairs;
use crate::parse::submit_request::SubmitReader;
use crate::problem::{ApiResult, Problem};
use crate::render::picture;
use crate::render::quota_headers::with_quota;
use crate::render::view::{accepted_job, mark_replayed};
use crate::state::{Api, Shared};
use crate::submit::{CancelOnDrop, Submitted, submit_job};

/// Enhance one image and wait for it
///
/// This takes the same request as `POST /jobs` and answers with the picture. When the caller closes the connection the job is
/// canceled, unless the request has an `Idempotency-Key` with which it can be sent again. When the job takes longer than the
/// setting `SYNC_TIMEOUT` allows, the answer is 202 with the job, which goes on.
#[utoipa::path(
    post, path = "/enhance", tag = "jobs", params(OptionParams, IdempotencyHeader),
    request_body(content(
        (UploadForm = "multipart/form-data"), (ImageUrl = "application/json"),
        (Binary = "image/jpeg"), (Binary = "image/png"), (Binary = "image/webp"), (Binary = "image/tiff"),
        (Binary = "image/gif"), (Binary = "image/bmp"), (Binary = "image/heic"),
    )),
    responses(
        EnhancedPicture,
        (status = 202, description = "The job was not finished in time, and goes on.", body = JobView),
        EnhanceRefused,
    ),
)]
pub async fn enhance(
    State(api): State<Shared>,
    client: Client,
    BaseUrl(base): BaseUrl,
    query: QueryPairs,
    request: Request,
) -> Response {
    let reader = SubmitReader { api: &api, client, base: &base, route: "enhance" };
    let id = JobId::of(reader.client.key);
    // It is armed before the job exists, because the connection may be closed at any moment. A caller with a key is expected to
    // send the request again, and then to find the job.
    let cancel = (!is_given(request.headers())).then(|| CancelOnDrop::armed(&api, id));
    let answer = answer(reader, id, query, request).await;
    if let Some(cancel) = cancel {
        cancel.disarm();
    }
    with_quota(&api, client, answer).await
}

async fn answer(reader: SubmitReader<'_>, id: JobId, query: QueryPairs, request: Request) -> ApiResult {
    let SubmitReader { api, client, base, .. } = reader;
    let request = reader.upload(query, request).await?;
    let Submitted { record: job, replayed, .. } = submit_job(api, id, request).await?;
    let id = job.id;
    // The job exists, so that a failure from here on must not keep its id from the caller.
    let job = wait_for_end(api, client, id, api.settings.sync_timeout).await.unwrap_or(job);
    let mut response = outcome(api, job, base).await?;
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-job-id", id);
    }
    Ok(mark_replayed(response, replayed))
}

async fn outcome(api: &Api, job: JobRecord, base: &UrlBase) -> ApiResult {
    match job.status {
        Status::Queued | Status::Processing => Ok(accepted_job(&job, base)),
        Status::Succeeded | Status::Expired => {
            Ok(picture::whole(api, &job).await.unwrap_or_else(|_| accepted_job(&job, base)))
        }
        Status::Canceled => Err(Problem::new(ErrorCode::Canceled, "The job was canceled before it was finished.")),
        Status::Failed => {
            Err(job.error.map_or_else(|| Problem::new(ErrorCode::Internal, "The job failed."), Into::into))
        }
    }
}
