//! From a request to a job in the queue: what all submitting routes share.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use remaster_shared::blob::BlobKey;
use remaster_shared::error::ErrorCode;
use remaster_shared::idempotency::{FingerprintBuilder, IdempotencyKey};
use remaster_shared::job::{JobId, JobRecord};
use remaster_shared::store::{Idempotency, NewJob, NewJobs, SubmitError};

use crate::client::Client;
use crate::options::Options;
use crate::problem::{Answer, Problem};
use crate::routes::jobs::Pairs;
use crate::state::Shared;
use crate::upload::{Upload, receive};
use crate::{quota, undo};

const KEY: &str = "idempotency-key";

/// The header, for the documentation.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its documentation is used")]
pub struct KeyHeader {
    /// 1 to 255 visible characters of the caller's choice: the same request with the same key is done once.
    #[param(rename = "Idempotency-Key")]
    key: Option<String>,
}

/// A request that may become the job `id`.
pub struct Intake<'a> {
    pub api: &'a Shared,
    pub client: Client,
    pub id: JobId,
    /// What a key was used for on one route is another request on another.
    pub route: &'static str,
}

pub struct Accepted {
    pub job: JobRecord,
    /// Whether it is the job of an earlier request with the same key.
    pub replayed: bool,
}

impl Intake<'_> {
    /// Receives the upload and queues it.
    pub async fn accept(&self, query: Pairs, request: Request) -> Answer<Accepted> {
        let pairs =
            query.map_err(|error| Problem::new(ErrorCode::InvalidParameter, format!("{}.", error.body_text())))?.0;
        let mut options = Options::default();
        for (name, value) in &pairs {
            options.add(name, value)?;
        }
        let key = key(request.headers())?;
        // A repetition costs nothing, so it needs nothing left.
        if key.is_none() {
            quota::precheck(self.api, self.client).await?;
        }
        let (upload, options) = receive(self.api, request, options).await?;
        let idempotency = key.map(|key| {
            let request = FingerprintBuilder::new().part("route", self.route.as_bytes()).part("file", &upload.hash);
            Idempotency { key, fingerprint: options.mark(request).finish() }
        });
        self.queue(upload, &options, idempotency).await
    }

    async fn queue(&self, upload: Upload, options: &Options, idempotency: Option<Idempotency>) -> Answer<Accepted> {
        let (api, id) = (self.api, self.id);
        let fleet = api.fleet.now().await?;
        let params = options.resolve(&fleet, api.settings.use_realesrgan)?;
        api.settings.pixels.check(upload.info.width, upload.info.height, params.scale)?;

        api.blobs.put_file(BlobKey::Input(id), upload.file.path()).await?;
        let job = NewJob { id, params, input: upload.info };
        let keyed = idempotency.is_some();
        let new = NewJobs { idempotency, ..NewJobs::new(self.client.0, vec![job]) };
        match api.store.submit(new).await {
            Ok(mut submitted) => {
                let job =
                    submitted.jobs.pop().ok_or_else(|| Problem::new(ErrorCode::Internal, "The job was not kept."))?;
                if submitted.replayed {
                    undo::delete(api, id).await;
                }
                // As the store has it now, with its place in line.
                let job = api.store.get(job.id).await.ok().flatten().unwrap_or(job);
                Ok(Accepted { job, replayed: submitted.replayed })
            }
            // Its caller will come again with the key, and is to find what the store kept; if it kept nothing, the picture is
            // an orphan.
            Err(SubmitError::Store(error)) if keyed => Err(error.into()),
            Err(refused) => {
                undo::forget(api, vec![id], &refused).await;
                Err(refused.into())
            }
        }
    }
}

/// The caller's key, if there is one.
pub fn key(headers: &HeaderMap) -> Answer<Option<IdempotencyKey>> {
    let bad = |detail: String| Problem::new(ErrorCode::InvalidParameter, detail);
    let mut values = headers.get_all(KEY).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(bad("Idempotency-Key is given more than once.".into()));
    }
    let text = value.to_str().map_err(|_| bad("Idempotency-Key takes visible ASCII characters.".into()))?;
    text.parse().map(Some).map_err(|error| bad(format!("Idempotency-Key: {error}.")))
}

/// Says on a repetition that it is one.
pub fn marked(mut response: Response, replayed: bool) -> Response {
    if replayed {
        response.headers_mut().insert("idempotency-replayed", HeaderValue::from_static("true"));
    }
    response
}
