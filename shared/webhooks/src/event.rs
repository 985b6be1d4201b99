//! The body of a webhook, in the form that [Standard Webhooks 1.0](https://www.standardwebhooks.com) recommends. It is
//! serialised once for each event, so that every attempt sends and signs the same bytes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum EventType {
    /// A job has succeeded.
    #[serde(rename = "job.succeeded")]
    JobSucceeded,
    /// A job has failed.
    #[serde(rename = "job.failed")]
    JobFailed,
    /// A job was canceled.
    #[serde(rename = "job.canceled")]
    JobCanceled,
    /// Every job of a batch has ended.
    #[serde(rename = "batch.completed")]
    BatchCompleted,
}

/// The body of a webhook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event<T> {
    /// The type of the event.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When the event happened, which is not when the webhook is sent.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The job or batch as `GET /jobs/{id}` or `GET /batches/{id}` shows it.
    pub data: T,
}

impl<T: Serialize> Event<T> {
    /// The event as JSON.
    ///
    /// # Errors
    /// `data` cannot be serialised.
    pub fn body(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_is_as_documented() {
        for (kind, name) in [
            (EventType::JobSucceeded, "job.succeeded"),
            (EventType::JobFailed, "job.failed"),
            (EventType::JobCanceled, "job.canceled"),
            (EventType::BatchCompleted, "batch.completed"),
        ] {
            let timestamp = "2025-06-01T12:00:00.25Z".parse().unwrap();
            let event = Event { kind, timestamp, data: serde_json::json!({ "id": 7 }) };
            let body = event.body().unwrap();
            let expected = format!(r#"{{"type":"{name}","timestamp":"2025-06-01T12:00:00.25Z","data":{{"id":7}}}}"#);
            assert_eq!(body, expected);
            assert_eq!(serde_json::from_str::<Event<serde_json::Value>>(&body).unwrap(), event);
        }
    }
}
