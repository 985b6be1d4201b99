//! Which problem the caller sees for each error of the other crates.

use remaster_blobs::BlobError;
use remaster_shared::error::{ErrorCode, JobError};
use remaster_shared::job::ParamError;
use remaster_store::rules::job::Refused;
use remaster_store::{CancelError, RequeueError, StoreError, SubmitError};

use super::Problem;
use crate::parse::allowances::NotAllowed;
use crate::parse::networks::UsedUp;

impl From<JobError> for Problem {
    fn from(error: JobError) -> Self {
        Self::new(error.code, error.message)
    }
}

impl From<ParamError> for Problem {
    fn from(error: ParamError) -> Self {
        Self::parameter(error.name, &error.got, error.accepts)
    }
}

impl From<StoreError> for Problem {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store does not answer");
        Self::new(
            ErrorCode::StoreUnavailable,
            "The job store is not reachable; nothing was charged. Try again shortly.",
        )
    }
}

impl From<BlobError> for Problem {
    fn from(error: BlobError) -> Self {
        tracing::error!(%error, "the object storage does not answer");
        let detail = "The object storage is not reachable; nothing was charged. Try again shortly.";
        Self::new(ErrorCode::StorageUnavailable, detail)
    }
}

impl From<SubmitError> for Problem {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::QuotaExceeded(quota) => Self::quota_exceeded(quota),
            SubmitError::KeyReused => Self::new(
                ErrorCode::IdempotencyKeyReused,
                "This Idempotency-Key came with another request within the last 24 hours; nothing was charged. Use a new key.",
            ),
            SubmitError::QueueFull { waiting, limit } => Self::new(
                ErrorCode::QueueFull,
                format!("{waiting} jobs are waiting, the limit is {limit}; nothing was charged. Try again later."),
            ),
            SubmitError::Store(error) => error.into(),
        }
    }
}

impl From<UsedUp> for Problem {
    fn from(UsedUp { prefix, limit }: UsedUp) -> Self {
        let detail = format!(
            "The /{prefix} network that you call from may submit {limit} images a day, and so many of them are used that these do not fit; \
             nothing was charged. Its quota begins anew at midnight, UTC."
        );
        Self::new(ErrorCode::QuotaExceeded, detail)
    }
}

impl From<NotAllowed> for Problem {
    fn from(NotAllowed { setting, limit: (limit, of) }: NotAllowed) -> Self {
        let detail = format!(
            "A client may have {limit} {of} a day ({setting}), and so many of them are used that this does not fit; nothing was \
             charged. They begin anew at midnight, UTC."
        );
        Self::new(ErrorCode::QuotaExceeded, detail)
    }
}

impl From<CancelError> for Problem {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NotFound => Self::job_not_found(),
            CancelError::AlreadyFinished(how) => {
                Self::new(ErrorCode::AlreadyFinished, format!("It is {how}; there is nothing to cancel."))
            }
            CancelError::Store(error) => error.into(),
        }
    }
}

/// The only files that the API writes are uploads in the spool folder.
impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        tracing::error!(%error, "an upload could not be written to the spool folder");
        let detail = "The upload could not be kept on our side; nothing was charged. Try again shortly.";
        Self::new(ErrorCode::StorageUnavailable, detail)
    }
}

impl From<RequeueError> for Problem {
    fn from(error: RequeueError) -> Self {
        match error {
            RequeueError::NotFound => Self::job_not_found(),
            RequeueError::Refused(Refused::InputGone) => {
                let detail = "The input of this job is not kept any more; the picture has to be submitted again.";
                Self::new(ErrorCode::ResultExpired, detail)
            }
            RequeueError::Refused(refused) => {
                let detail = format!("Only a failed job can be queued again: {refused}.");
                Self::new(ErrorCode::AlreadyFinished, detail)
            }
            RequeueError::Store(error) => error.into(),
        }
    }
}
