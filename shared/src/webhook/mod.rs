//! A webhook that was asked for: where it goes, and how its delivery stands.

pub mod secret;

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use url::Url;
use utoipa::ToSchema;

use crate::job::{BatchId, JobId, UrlBase};
use secret::WebhookSecret;

/// Where a submitter wants to be told. Kept until the delivery is over, and shown to nobody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    pub url: Url,
    pub secret: Option<WebhookSecret>,
    /// What links in the body start with.
    pub base: UrlBase,
}

impl Target {
    /// Deliveries to one host share its bound.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

/// What a webhook tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Subject {
    Job(JobId),
    Batch(BatchId),
}

impl Subject {
    pub fn id(self) -> uuid::Uuid {
        match self {
            Subject::Job(id) => id.0,
            Subject::Batch(id) => id.0,
        }
    }
}

/// How a delivery stands.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    pub status: DeliveryStatus,
    /// Attempts made so far.
    pub attempts: u32,
    pub last_attempt: Option<Attempt>,
    /// When the next one is due.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub next_attempt_at: Option<Timestamp>,
}

impl Delivery {
    /// From what a store keeps: how it ended, when it is due next, the attempts so far and the last of them.
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

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// There is nothing to tell yet.
    Waiting,
    /// To be tried, for the first time or again.
    Pending,
    Delivered,
    /// Given up.
    Failed,
}

impl DeliveryStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            DeliveryStatus::Waiting => "waiting",
            DeliveryStatus::Pending => "pending",
            DeliveryStatus::Delivered => "delivered",
            DeliveryStatus::Failed => "failed",
        }
    }
}

/// A word that names no state of a delivery.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not the state of a delivery")]
pub struct UnknownDeliveryStatus(String);

impl std::str::FromStr for DeliveryStatus {
    type Err = UnknownDeliveryStatus;

    fn from_str(text: &str) -> Result<Self, UnknownDeliveryStatus> {
        let all = [Self::Waiting, Self::Pending, Self::Delivered, Self::Failed];
        all.into_iter().find(|status| status.as_str() == text).ok_or_else(|| UnknownDeliveryStatus(text.to_owned()))
    }
}

/// One attempt, as far as its submitter may know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What the receiver answered, if it did.
    pub status: Option<u16>,
    /// Why there is no answer, or why it is none.
    pub error: Option<String>,
}

/// A delivery whose time has come, for its holder to try.
#[derive(Debug, Clone, PartialEq)]
pub struct DueHook {
    pub subject: Subject,
    pub target: Target,
    /// Attempts made before; also the fence: an attempt is recorded only if no other was meanwhile.
    pub attempts: u32,
    /// The body that the first attempt sent.
    pub body: Option<String>,
}

/// What came of trying.
#[derive(Debug, Clone, PartialEq)]
pub struct Attempted {
    pub subject: Subject,
    /// As in the [`DueHook`].
    pub attempts: u32,
    pub attempt: Attempt,
    /// What was sent, and is sent again.
    pub body: String,
    pub next: Next,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    Delivered,
    /// Another attempt after this wait.
    Retry(Duration),
    GiveUp,
}
