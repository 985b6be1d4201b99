//! How an image ended.

use remaster_shared::job::JobView;

use super::client::Failure;

/// How an image ended.
pub enum Ended {
    /// The result is written.
    Done(Box<JobView>),
    /// The result was there before.
    AlreadyThere,
    /// There is no result.
    Failed {
        /// The code of docs/api.md, or an empty one where the service is not to blame.
        code: String,
        /// What was wrong.
        message: String,
    },
}

impl Ended {
    /// There is no result.
    pub fn failed(code: impl Into<String>, message: impl ToString) -> Self {
        Self::Failed { code: code.into(), message: message.to_string() }
    }
}

impl From<Failure> for Ended {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Refused { code, detail } => Self::failed(code, detail),
            other => Self::failed("", other),
        }
    }
}
