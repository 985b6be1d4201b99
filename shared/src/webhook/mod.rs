//! Webhooks as values: the target that a submitter requested, the state of its delivery, and the entries of a store's
//! outbox.

pub mod secret;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr};
use url::Url;
use utoipa::ToSchema;

use crate::ids::{BatchId, JobId};
use crate::links::UrlBase;
use secret::WebhookSecret;

/// The target of a webhook. The store keeps it until the delivery has ended, and no answer ever shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The URL to post to.
    pub url: Url,
    /// The secret for the HMAC signature, if the submitter gave one.
    pub secret: Option<WebhookSecret>,
    /// The prefix of the links in the body.
    pub base: UrlBase,
}

impl Target {
    /// The host of the URL. Deliveries to one host share a limit on attempts in flight.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

/// The job or batch that a webhook reports on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    /// A job that was submitted alone.
    Job(JobId),
    /// A whole batch.
    Batch(BatchId),
}

impl Subject {
    /// The id of the job or batch.
    pub fn id(self) -> uuid::Uuid {
        match self {
            Subject::Job(id) => id.0,
            Subject::Batch(id) => id.0,
        }
    }
}

/// The state of a webhook's delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Whether the webhook is waiting, pending, delivered or given up.
    pub status: DeliveryStatus,
    /// How many attempts have been made.
    pub attempts: u32,
    /// The last attempt; null before the first.
    pub last_attempt: Option<Attempt>,
    /// When the next attempt is due; null if none is.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
}

impl Delivery {
    /// The delivery from what a store keeps: the final state if it has ended, the time of the next attempt, the number of
    /// attempts, and the last of them.
    pub fn new(
        ended: Option<DeliveryStatus>,
        due: Option<Timestamp>,
        attempts: u32,
        last_attempt: Option<Attempt>,
    ) -> Self {
        let status = ended.unwrap_or(if due.is_some() { DeliveryStatus::Pending } else { DeliveryStatus::Waiting });
        Self { status, attempts, last_attempt, next_attempt_at: due.filter(|_| ended.is_none()) }
    }
}

/// The state of a webhook's delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, EnumString, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownDeliveryStatus, parse_err_fn = UnknownDeliveryStatus::new)]
pub enum DeliveryStatus {
    /// The job or batch has not ended.
    Waiting,
    /// An attempt is due now or later.
    Pending,
    /// The receiver has accepted the webhook.
    Delivered,
    /// No further attempt is made.
    Failed,
}

impl DeliveryStatus {
    /// The name of the state in JSON and in the store.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The text is not the name of a delivery's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the state of a delivery")]
pub struct UnknownDeliveryStatus(String);

impl UnknownDeliveryStatus {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// One attempt to deliver a webhook, as far as the submitter may know about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// When the attempt was made.
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// The HTTP status that the receiver answered with; null if it did not answer.
    pub status: Option<u16>,
    /// Why the attempt failed; null if it succeeded.
    pub error: Option<String>,
}

/// A delivery that is due, handed out by the store to one deliverer.
#[derive(Debug, Clone, PartialEq)]
pub struct DueHook {
    /// The job or batch to report on.
    pub subject: Subject,
    /// Where to send the webhook.
    pub target: Target,
    /// How many attempts were made before. It is also the fencing token: the outcome is recorded only if no other attempt
    /// was recorded in the meantime.
    pub attempts: u32,
    /// The body that an earlier attempt sent; `None` if there was none.
    pub body: Option<String>,
}

/// The outcome of an attempt, for the store to record.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempted {
    /// The job or batch that the webhook reports on.
    pub subject: Subject,
    /// The fencing token of the [`DueHook`].
    pub attempts: u32,
    /// What the submitter is shown about the attempt.
    pub attempt: Attempt,
    /// The body that was sent. Further attempts send the same bytes. `None` where nothing was sent: then it stays what it is.
    pub body: Option<String>,
    /// What follows.
    pub next: Next,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The receiver has accepted the webhook.
    Delivered,
    /// Another attempt is made after this delay.
    Retry(Duration),
    /// No further attempt is made.
    GiveUp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_states_round_trip() {
        use DeliveryStatus::{Delivered, Failed, Pending, Waiting};
        for status in [Waiting, Pending, Delivered, Failed] {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        let error = "lost".parse::<DeliveryStatus>().unwrap_err();
        assert_eq!(error.to_string(), "\"lost\" is not the state of a delivery");
    }
}
