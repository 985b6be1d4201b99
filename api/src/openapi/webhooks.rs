//! What the service sends to others, as the document's `webhooks`.

use remaster_shared::job::{BatchView, JobView};
use remaster_webhooks::event::EventType;
use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, OpenApi as _, ToSchema};

/// Headers of every webhook, as Standard Webhooks 1.0 has them.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its documentation is used")]
struct SignedHeaders {
    /// The same over all attempts at one delivery: by it a repetition is known.
    #[param(rename = "webhook-id")]
    id: String,
    /// Unix seconds of this attempt.
    #[param(rename = "webhook-timestamp")]
    timestamp: i64,
    /// Separated by spaces: `v1,…` (HMAC-SHA256, where the submit gave a `webhook_secret`) and `v1a,…` (ed25519, for each key of
    /// `GET /webhooks/key`).
    #[param(rename = "webhook-signature")]
    signature: String,
}

macro_rules! webhooks {
    ($($name:ident, $event:literal, $body:ident, $data:ty, $summary:literal;)*) => {
        $(
            #[doc = $summary]
            #[derive(ToSchema)]
            #[expect(dead_code, reason = "only its documentation is used")]
            struct $body {
                #[schema(rename = "type")]
                kind: EventType,
                /// When it happened, not when it is sent.
                #[schema(value_type = String, format = DateTime)]
                timestamp: jiff::Timestamp,
                /// As the API shows it.
                data: $data,
            }

            #[utoipa::path(
                post, path = $event, operation_id = $event, tag = "webhooks", summary = $summary, params(SignedHeaders),
                description = "Any 2xx within 15 seconds is success; redirects are not followed. Otherwise it is sent again \
                    after 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h; a `Retry-After` of 429 and 503 is obeyed, 410 ends it.",
                request_body = $body,
                responses(
                    (status = "2XX", description = "Heard"),
                    (status = 410, description = "Do not come again"),
                ),
            )]
            #[expect(dead_code, reason = "only its documentation is used")]
            fn $name() {}
        )*

        #[derive(utoipa::OpenApi)]
        #[openapi(paths($($name),*))]
        struct Sent;
    };
}

webhooks! {
    succeeded, "job.succeeded", JobSucceeded, JobView, "A job has its picture";
    failed, "job.failed", JobFailed, JobView, "A job failed";
    canceled, "job.canceled", JobCanceled, JobView, "A job was canceled";
    completed, "batch.completed", BatchCompleted, BatchView, "Every job of a batch has ended";
}

/// The document with them in it.
pub fn with_webhooks(mut document: OpenApi) -> OpenApi {
    let sent = Sent::openapi();
    let own = document.components.get_or_insert_default();
    for (name, schema) in sent.components.unwrap_or_default().schemas {
        own.schemas.entry(name).or_insert(schema);
    }
    document.webhooks = Some(sent.paths);
    document
}
