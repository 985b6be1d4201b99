//! The synchronous way: image in, PNG out, through the same queue as everything else.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::HeaderValue;
use axum::response::Response;
use remaster_shared::error::ErrorCode;
use remaster_shared::job::{JobId, JobView, Status, UrlBase};

use super::jobs::{accepted, end_of};
use super::result::rendered;
use crate::accept::{Accepted, Intake, KeyHeader, key, marked};
use crate::client::Client;
use crate::links::Links;
use crate::openapi::{Binary, OptionFields, UploadForm};
use crate::options::Pairs;
use crate::problem::{Answer, Problem, ProblemBody};
use crate::quota;
use crate::state::Shared;

/// Enhance one image and wait for it
///
/// Takes what `POST /jobs` takes and answers with the PNG. Closing the connection cancels the job, unless it has an
/// `Idempotency-Key` under which the caller can ask again. When it takes longer
/// than the service's `SYNC_TIMEOUT` the answer is 202 with the job, which goes on.
#[utoipa::path(
    post, path = "/enhance", tag = "jobs", params(OptionFields, KeyHeader),
    request_body(content(
        (UploadForm = "multipart/form-data"),
        (Binary = "image/jpeg"), (Binary = "image/png"), (Binary = "image/webp"), (Binary = "image/tiff"),
    )),
    responses(
        (status = 200, description = "The picture", body = Binary, content_type = "image/png", headers(
            ("X-Job-Id" = String),
            ("X-Quota-Used" = u64), ("X-Quota-Limit" = u64), ("X-Quota-Reset" = String))),
        (status = 202, description = "Not finished in time; the job goes on", body = JobView),
        (status = 400, description = "`invalid_parameter`, `missing_file`, `invalid_webhook_url`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`canceled`: by `DELETE /jobs/{id}` meanwhile", body = ProblemBody, content_type = "application/problem+json"),
        (status = 408, description = "`request_timeout`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 413, description = "`file_too_large`, `image_too_large`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 415, description = "`unsupported_format`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`image_corrupt`, `idempotency_key_reused`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 429, description = "`quota_exceeded`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 500, description = "`internal`, `poison`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 503, description = "`queue_full`, `store_unavailable`, `storage_unavailable`, `model_unavailable`",
         body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn enhance(
    State(api): State<Shared>,
    client: Client,
    Links(base): Links,
    query: Pairs,
    request: Request,
) -> Response {
    let answer = run(&api, client, &base, query, request).await;
    quota::with_headers(&api, client, answer).await
}

async fn run(api: &Shared, client: Client, base: &UrlBase, query: Pairs, request: Request) -> Answer {
    let id = JobId::random();
    // Armed before the job exists: the connection may close at any moment from here on. With a key the caller will come
    // again, and is to find the job.
    let keyed = key(request.headers())?.is_some();
    let mut abandoned = CancelOnDrop { api: Arc::clone(api), job: (!keyed).then_some(id) };
    let answer = finish(api, client, id, base, query, request).await;
    abandoned.job = None;
    answer
}

async fn finish(api: &Shared, client: Client, id: JobId, base: &UrlBase, query: Pairs, request: Request) -> Answer {
    let intake = Intake { api, client, base, route: "enhance" };
    let Accepted { what: job, replayed } = intake.job(id, query, request).await?;
    let id = job.id;
    // From here on the job is there, whatever happens: every answer names it.
    let job = end_of(api, id, api.settings.sync_timeout).await.unwrap_or(job);
    let mut response = match job.status {
        Status::Queued | Status::Processing => accepted(&job, base),
        Status::Canceled => {
            return Err(Problem::new(ErrorCode::Canceled, "The job was canceled before it was finished."));
        }
        Status::Failed => {
            return Err(job.error.map_or_else(|| Problem::new(ErrorCode::Internal, "The job failed."), Into::into));
        }
        Status::Succeeded | Status::Expired => rendered(api, &job).await.unwrap_or_else(|_| accepted(&job, base)),
    };
    if let Ok(id) = HeaderValue::from_str(&id.to_string()) {
        response.headers_mut().insert("x-job-id", id);
    }
    Ok(marked(response, replayed))
}

/// Cancels the job when its caller went away: the server then drops the handler, and this with it.
struct CancelOnDrop {
    api: Shared,
    job: Option<JobId>,
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        if let Some(job) = self.job {
            let api = Arc::clone(&self.api);
            tokio::spawn(async move {
                if api.store.cancel(job).await.is_ok() {
                    tracing::info!(%job, "canceled: its caller went away");
                }
            });
        }
    }
}
