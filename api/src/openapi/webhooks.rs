//! The webhooks that the service sends, in the `webhooks` of the document.

use remaster_shared::job::{BatchView, JobView};
use remaster_webhooks::event::EventType;
use utoipa::openapi::OpenApi;
use utoipa::{IntoParams, OpenApi as _, ToSchema};

/// The headers of every webhook, as Standard Webhooks 1.0 defines them.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "only its documentation is used")]
struct SignedHeaders {
    /// The id of the delivery. It is the same in every attempt, so that a repetition can be recognised.
    #[param(rename = "webhook-id")]
    id: String,
    /// The time of this attempt, in Unix seconds.
    #[param(rename = "webhook-timestamp")]
    timestamp: i64,
    /// The signatures, separated by spaces: `v1,…` is HMAC-SHA256 and is there when the submit gave a `webhook_secret`; `v1a,…` is
    /// ed25519 and is there for each key of `GET /webhooks/key`.
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
                /// When the event happened, which may be long before it is sent.
                #[schema(value_type = String, format = DateTime)]
                timestamp: jiff::Timestamp,
                /// The job or the batch as the API shows it.
                data: $data,
            }

            #[utoipa::path(
                post, path = $event, operation_id = $event, tag = "webhooks", summary = $summary, params(SignedHeaders),
                description = "Any 2xx within 15 seconds is success; redirects are not followed. Otherwise the webhook is sent \
                    again after 5 s, 5 m, 30 m, 2 h, 5 h, 10 h, 14 h, 20 h and 24 h. The `Retry-After` of a 429 or 503 is \
                    obeyed, and a 410 ends the attempts.",
                request_body = $body,
                responses(
                    (status = "2XX", description = "The webhook was received."),
                    (status = 410, description = "No further attempt is made."),
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
    succeeded, "job.succeeded", JobSucceeded, JobView, "A job succeeded";
    failed, "job.failed", JobFailed, JobView, "A job failed";
    canceled, "job.canceled", JobCanceled, JobView, "A job was canceled";
    completed, "batch.completed", BatchCompleted, BatchView, "Every job of a batch has ended";
}

/// The document with the webhooks and their schemas added.
pub fn with_webhooks(mut document: OpenApi) -> OpenApi {
    let sent = Sent::openapi();
    let own = document.components.get_or_insert_default();
    for (name, schema) in sent.components.unwrap_or_default().schemas {
        own.schemas.entry(name).or_insert(schema);
    }
    document.webhooks = Some(sent.paths);
    document
}
