//! `GET /jobs/{id}/result`.

use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method};
use remaster_shared::job::JobId;

use crate::lookup::records::find_job;
use crate::openapi::{Binary, NoResult};
use crate::parse::id::job_id;
use crate::problem::ApiResult;
use crate::render::picture;
use crate::state::Shared;

/// Fetch the finished picture
///
/// Where the object storage can sign URLs, the answer is 307 to a URL that works for 15 minutes. Otherwise it is the picture,
/// with `Range` and `If-None-Match`.
#[utoipa::path(
    get, path = "/jobs/{id}/result", tag = "jobs", params(("id" = JobId, Path)),
    responses(
        (status = 200, description = "The picture.", headers(("ETag" = String)), content(
            (Binary = "image/png"), (Binary = "image/webp"), (Binary = "image/jpeg"),
        )),
        (status = 206, description = "The part of the picture that `Range` asks for.", content(
            (Binary = "image/png"), (Binary = "image/webp"), (Binary = "image/jpeg"),
        )),
        (status = 304, description = "The picture is the version that `If-None-Match` names."),
        (status = 307, description = "The picture lies in the object storage.", headers(("Location" = String))),
        (status = 416, description = "The range lies outside the picture."),
        NoResult,
    ),
)]
pub async fn result(
    State(api): State<Shared>,
    method: Method,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> ApiResult {
    let job = find_job(&api, job_id(&id)?).await?;
    picture::result(&api, &job, &method, &headers).await
}
