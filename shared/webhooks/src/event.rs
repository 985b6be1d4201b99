//! The body of a webhook. Serialised once per event: every attempt sends, and signs, the same bytes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub enum EventType {
    #[serde(rename = "job.succeeded")]
    JobSucceeded,
    #[serde(rename = "job.failed")]
    JobFailed,
    #[serde(rename = "job.canceled")]
    JobCanceled,
    #[serde(rename = "batch.completed")]
    BatchCompleted,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Event<T> {
    #[serde(rename = "type")]
    pub kind: EventType,
    /// When it happened, not when it is sent.
    #[schema(value_type = String, format = DateTime)]
    pub timestamp: Timestamp,
    /// The job or batch, as the API shows it.
    pub data: T,
}

impl<T: Serialize> Event<T> {
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
