//! The state machine of a job: its states, and the only transitions between them.

use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};
use utoipa::ToSchema;

/// The state of a job.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    ToSchema,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownStatus, parse_err_fn = UnknownStatus::new)]
pub enum Status {
    /// Waiting for a worker, for the first time or for another attempt.
    Queued,
    /// A worker holds the job under a lease.
    Processing,
    /// The result is ready.
    Succeeded,
    /// Every permitted attempt has failed, or the failure was the caller's.
    Failed,
    /// The caller has canceled the job.
    Canceled,
    /// The job has succeeded, and its result is no longer kept.
    Expired,
}

/// A transition that the state machine does not permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a job that is {from} cannot become {to}")]
pub struct IllegalTransition {
    /// The state that the job is in.
    pub from: Status,
    /// The state that it was to enter.
    pub to: Status,
}

impl Status {
    /// Every state.
    pub const ALL: &'static [Status] = Status::VARIANTS;

    /// Whether no worker will process the job any more.
    pub fn is_terminal(self) -> bool {
        !matches!(self, Status::Queued | Status::Processing)
    }

    /// Checks the transition from `self` to `to` and returns `to`. The rules call this before any status changes; the Redis
    /// library has a copy of the table, which a test compares with this one.
    ///
    /// # Errors
    /// The state machine does not permit the transition.
    pub fn transition(self, to: Status) -> Result<Status, IllegalTransition> {
        use Status::{Canceled, Expired, Failed, Processing, Queued, Succeeded};
        let allowed = matches!(
            (self, to),
            (Queued, Processing | Canceled)
                // A job returns to the queue when it is released at shutdown, retried after a failure, or reclaimed
                // from a worker whose lease has expired.
                | (Processing, Queued | Succeeded | Failed | Canceled)
                | (Succeeded, Expired)
                // An operator queues it again.
                | (Failed, Queued)
        );
        if allowed { Ok(to) } else { Err(IllegalTransition { from: self, to }) }
    }

    /// The name of the state in JSON and in the store.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The text is not the name of a job's state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a job status")]
pub struct UnknownStatus(String);

impl UnknownStatus {
    fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_state_can_only_expire_or_be_queued_again() {
        for from in Status::ALL.iter().copied().filter(|status| status.is_terminal()) {
            for &to in Status::ALL {
                let allowed =
                    matches!((from, to), (Status::Succeeded, Status::Expired) | (Status::Failed, Status::Queued));
                assert_eq!(from.transition(to).is_ok(), allowed, "{from} -> {to}");
            }
        }
    }

    #[test]
    fn a_queued_job_cannot_skip_processing() {
        for to in [Status::Succeeded, Status::Failed, Status::Expired, Status::Queued] {
            assert!(Status::Queued.transition(to).is_err());
        }
    }

    #[test]
    fn names_round_trip() {
        for &status in Status::ALL {
            assert_eq!(status.as_str().parse(), Ok(status));
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
            assert_eq!(status.to_string(), status.as_str());
        }
        assert_eq!("done".parse::<Status>().unwrap_err().to_string(), "\"done\" is not a job status");
    }
}
