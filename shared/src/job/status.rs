//! Where a job stands, and the only way from one standing to another.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    Queued,
    Processing,
    Succeeded,
    Failed,
    Canceled,
    /// Succeeded, and its result is no longer kept.
    Expired,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {from} cannot become {to}")]
pub struct IllegalTransition {
    pub from: Status,
    pub to: Status,
}

impl Status {
    pub const ALL: [Status; 6] =
        [Status::Queued, Status::Processing, Status::Succeeded, Status::Failed, Status::Canceled, Status::Expired];

    /// Whether nothing more will be done for the job.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Status::Queued | Status::Processing)
    }

    /// `to`, if a job may go there from `self`. Every store calls this before it writes a status.
    pub fn transition(self, to: Status) -> Result<Status, IllegalTransition> {
        use Status::{Canceled, Expired, Failed, Processing, Queued, Succeeded};
        let allowed = matches!(
            (self, to),
            (Queued, Processing | Canceled)
                // Back to the queue: released at shutdown, retried after a failure, or reclaimed from a dead worker.
                | (Processing, Queued | Succeeded | Failed | Canceled)
                | (Succeeded, Expired)
        );
        if allowed { Ok(to) } else { Err(IllegalTransition { from: self, to }) }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Processing => "processing",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Canceled => "canceled",
            Status::Expired => "expired",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a job status")]
pub struct UnknownStatus(String);

impl FromStr for Status {
    type Err = UnknownStatus;

    fn from_str(text: &str) -> Result<Self, UnknownStatus> {
        Status::ALL.into_iter().find(|status| status.as_str() == text).ok_or_else(|| UnknownStatus(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_states_lead_nowhere_but_to_expiry() {
        for from in Status::ALL.into_iter().filter(|status| status.is_terminal()) {
            for to in Status::ALL {
                let allowed = from == Status::Succeeded && to == Status::Expired;
                assert_eq!(from.transition(to).is_ok(), allowed, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn nothing_skips_processing() {
        for to in [Status::Succeeded, Status::Failed, Status::Expired, Status::Queued] {
            assert!(Status::Queued.transition(to).is_err());
        }
    }

    #[test]
    fn names_round_trip() {
        for status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
    }
}
