//! The request of a submit: its query and headers are parsed first, then its body is admitted, and only then is it read.

use axum::extract::Request;
use remaster_shared::idempotency::{FingerprintBuilder, IdempotencyKey};
use remaster_shared::job::{EnhanceParams, UrlBase};
use remaster_shared::webhook::Target;
use remaster_store::Idempotency;

use super::admission::admit;
use super::batch_upload::{BatchUpload, receive_batch};
use super::client::Client;
use super::idempotency::{Fingerprinted, idempotency_key};
use super::options::{QueryPairs, SubmitOptions};
use super::upload::{Upload, receive_upload};
use crate::problem::ApiResult;
use crate::state::Shared;

/// What a caller asks for: the pictures, what to do with them, and where to report the end.
pub struct SubmitRequest<F> {
    /// Who is charged.
    pub client: Client,
    /// An [`Upload`] or a [`BatchUpload`].
    pub files: F,
    /// What is asked for. The model may be `auto`.
    pub params: EnhanceParams,
    /// Where the end is reported.
    pub webhook: Option<Target>,
    /// The caller's key for this request, with the fingerprint of what it asks for.
    pub idempotency: Option<Idempotency>,
}

/// Reads the requests of a route.
pub struct SubmitReader<'a> {
    /// The state behind the routes.
    pub api: &'a Shared,
    /// Who calls.
    pub client: Client,
    /// What links start with.
    pub base: &'a UrlBase,
    /// The name of the route. It is part of the fingerprint, so that the same key on another route is another request.
    pub route: &'static str,
}

impl SubmitReader<'_> {
    /// Reads a request with one image.
    ///
    /// # Errors
    /// The query, the key, an option or the upload is refused, the client has no quota left, or the store does not answer.
    pub async fn upload(&self, query: QueryPairs, request: Request) -> ApiResult<SubmitRequest<Upload>> {
        let (mut options, key) = (SubmitOptions::from_query(query)?, idempotency_key(request.headers())?);
        admit(self.api, self.client, key.as_ref()).await?;
        let upload = receive_upload(self.api, self.client, request, &mut options).await;
        let upload = upload.inspect_err(|problem| self.api.count_refusal(self.client, problem.code))?;
        self.request(upload, &options, key)
    }

    /// Reads a request with the files of a batch.
    ///
    /// # Errors
    /// The query, the key, an option or the whole upload is refused, the client has too little quota left, or the store or the
    /// object storage does not answer.
    pub async fn batch(&self, query: QueryPairs, request: Request) -> ApiResult<SubmitRequest<BatchUpload>> {
        let (mut options, key) = (SubmitOptions::from_query(query)?, idempotency_key(request.headers())?);
        let quota = admit(self.api, self.client, key.as_ref()).await?;
        let batch = receive_batch(self.api, request, &mut options, (self.client, quota)).await?;
        self.request(batch, &options, key)
    }

    fn request<F: Fingerprinted>(
        &self,
        files: F,
        options: &SubmitOptions,
        key: Option<IdempotencyKey>,
    ) -> ApiResult<SubmitRequest<F>> {
        let fingerprint = || {
            let route = FingerprintBuilder::new().part("route", self.route.as_bytes());
            options.add_to(files.add_to(route)).finish()
        };
        let idempotency = key.map(|key| Idempotency { key, fingerprint: fingerprint() });
        let params = options.params()?;
        let webhook = options.webhook(&self.api.settings.webhooks.policy, self.base)?;
        Ok(SubmitRequest { client: self.client, files, params, webhook, idempotency })
    }
}
