//! From a request to a job in the queue: what all submitting routes share.

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use remaster_shared::blob_key::BlobKey;
use remaster_shared::error::ErrorCode;
use remaster_shared::idempotency::{FingerprintBuilder, IdempotencyKey};
use remaster_shared::job::{BatchId, BatchRecord, EnhanceParams, JobId, JobRecord, UrlBase};
use remaster_shared::quota::Quota;
use remaster_shared::webhook::Target;
use remaster_store::{Idempotency, NewJob, NewJobs, SubmitError};

use crate::client::Client;
use crate::gather::{Arrived, Gathered, gather};
use crate::options::{Options, Pairs};
use crate::problem::{Answer, Problem};
use crate::state::Shared;
use crate::upload::receive;
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

/// A request that may become jobs.
pub struct Intake<'a> {
    pub api: &'a Shared,
    pub client: Client,
    /// What links start with.
    pub base: &'a UrlBase,
    /// What a key was used for on one route is another request on another.
    pub route: &'static str,
}

pub struct Accepted<T> {
    pub what: T,
    /// Whether it is that of an earlier request with the same key.
    pub replayed: bool,
}

impl Intake<'_> {
    /// Receives one upload and queues it as the job `id`.
    pub async fn job(&self, id: JobId, query: Pairs, request: Request) -> Answer<Accepted<JobRecord>> {
        let (options, key) = (given(query)?, key(request.headers())?);
        self.quota(key.as_ref()).await?;
        let (upload, options) = receive(self.api, request, options).await?;
        let idempotency = self.idempotency(key, &options, |request| request.part("file", &upload.hash));
        let params = self.params(&options).await?;
        let webhook = self.webhook(&options)?;
        self.api.settings.pixels.check(upload.info.width, upload.info.height, params.scale)?;

        self.api.blobs.put_file(BlobKey::Input(id), upload.file.path()).await?;
        let jobs = vec![NewJob::new(id, params, upload.info)];
        let new = NewJobs { idempotency, webhook, ..NewJobs::new(self.client.0, jobs) };
        let (mut jobs, replayed) = self.submit(new, vec![id]).await?;
        let job = jobs.pop().ok_or_else(|| Problem::new(ErrorCode::Internal, "The job was not kept."))?;
        // As the store has it now, with its place in line.
        let what = self.api.store.get(job.id).await.ok().flatten().unwrap_or(job);
        Ok(Accepted { what, replayed })
    }

    /// Receives many uploads and queues them together.
    pub async fn batch(&self, query: Pairs, request: Request) -> Answer<Accepted<BatchRecord>> {
        let (options, key) = (given(query)?, key(request.headers())?);
        let left = self.quota(key.as_ref()).await?;
        let Gathered { mut files, options, mut stored } = gather(self.api, request, options, left).await?;
        let each = |request: FingerprintBuilder, file: &Arrived| {
            request.part("name", file.input.filename.as_deref().unwrap_or("").as_bytes()).part("file", &file.hash)
        };
        let idempotency = self.idempotency(key, &options, |request| files.iter().fold(request, each));
        let params = self.params(&options).await?;
        let webhook = self.webhook(&options)?;
        for file in files.iter_mut().filter(|file| file.refused.is_none()) {
            let fits = self.api.settings.pixels.check(file.input.width, file.input.height, params.scale);
            if let Err(error) = fits {
                stored.delete(file.job).await;
                file.refused = Some(error);
            }
        }

        refuse_all_refused(&files)?;

        let id = BatchId::random();
        let job = |Arrived { job, input, refused, .. }| NewJob { refused, ..NewJob::new(job, params.clone(), input) };
        let jobs: Vec<_> = files.into_iter().map(job).collect();
        let new = NewJobs { idempotency, webhook, batch: Some(id), ..NewJobs::new(self.client.0, jobs) };
        // Once the store is asked the jobs may be there, even if nobody waits for its answer any more.
        let (jobs, replayed) = self.submit(new, stored.keep()).await?;
        let id = jobs.first().and_then(|job| job.batch).unwrap_or(id);
        // It is there, also if the store does not answer again.
        let kept = self.api.store.batch(id).await.ok().flatten();
        let as_submitted = || BatchRecord {
            id,
            client: self.client.0,
            created_at: jobs.first().map_or_else(|| self.api.store.now(), |job| job.created_at),
            cancel_requested: false,
            jobs,
            webhook: None,
        };
        Ok(Accepted { what: kept.unwrap_or_else(as_submitted), replayed })
    }

    /// What the client has left, of which there has to be something before its upload is read. `None` for a repetition, which
    /// costs nothing.
    async fn quota(&self, key: Option<&IdempotencyKey>) -> Answer<Option<Quota>> {
        if let Some(key) = key
            && self.api.store.knows(self.client.0, key).await?
        {
            return Ok(None);
        }
        quota::precheck(self.api, self.client).await.map(Some)
    }

    fn idempotency(
        &self,
        key: Option<IdempotencyKey>,
        options: &Options,
        files: impl FnOnce(FingerprintBuilder) -> FingerprintBuilder,
    ) -> Option<Idempotency> {
        let request = || files(FingerprintBuilder::new().part("route", self.route.as_bytes()));
        key.map(|key| Idempotency { key, fingerprint: options.mark(request()).finish() })
    }

    async fn params(&self, options: &Options) -> Answer<EnhanceParams> {
        let fleet = self.api.fleet.now().await?;
        options.resolve(&fleet, self.api.settings.use_realesrgan)
    }

    fn webhook(&self, options: &Options) -> Answer<Option<Target>> {
        options.webhook(&self.api.settings.webhooks.policy, self.base)
    }

    /// Queues `new`, whose pictures are those of `stored`, or sees to it that nothing is left of it. Gives the jobs, and
    /// whether they are those of an earlier request.
    async fn submit(&self, new: NewJobs, stored: Vec<JobId>) -> Answer<(Vec<JobRecord>, bool)> {
        let keyed = new.idempotency.is_some();
        match self.api.store.submit(new).await {
            Ok(submitted) => {
                if submitted.replayed {
                    undo::delete_all(self.api, stored).await;
                }
                Ok((submitted.jobs, submitted.replayed))
            }
            // Its caller will come again with the key, and is to find what the store kept; if it kept nothing, the pictures are
            // orphans.
            Err(SubmitError::Store(error)) if keyed => Err(error.into()),
            Err(refused) => {
                undo::forget(self.api, stored, &refused).await;
                Err(refused.into())
            }
        }
    }
}

/// A batch of nothing but refused files is refused, as one of them alone would be.
fn refuse_all_refused(files: &[Arrived]) -> Answer<()> {
    let refused: Vec<_> = files.iter().filter_map(|file| Some((file, file.refused.as_ref()?))).collect();
    match refused[..] {
        [(file, error), ..] if refused.len() == files.len() => {
            let name = file.input.filename.as_deref().unwrap_or("the first");
            let detail = format!("None of the {} files can be used; {name:?}: {}", files.len(), error.message);
            Err(Problem::new(error.code, detail))
        }
        _ => Ok(()),
    }
}

/// The options in the query.
fn given(query: Pairs) -> Answer<Options> {
    let pairs = query.map_err(|error| Problem::new(ErrorCode::InvalidParameter, format!("{}.", error.body_text())))?.0;
    let mut options = Options::default();
    for (name, value) in &pairs {
        options.add(name, value)?;
    }
    Ok(options)
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
