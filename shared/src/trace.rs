//! Traces: what happened to a job, on whatever node, as the spans of one trace.
//!
//! Which trace a job has follows from its id, so that no node hands it on to another: the submit, the work and the webhook of a job are
//! found together though different processes tell of them.

use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};
use tokio::task_local;

use crate::job::JobId;

task_local! {
    /// The job that this task works on.
    static JOB: JobId;
}

/// A piece of a job's life.
#[derive(Debug, Clone, PartialEq)]
pub struct JobSpan {
    /// The job.
    pub job: JobId,
    /// What was done: `job` for the whole, which all others are parts of.
    pub name: &'static str,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What else is known, by OpenTelemetry's names where it has one.
    pub attributes: Vec<(&'static str, String)>,
    /// Why it failed, if it did.
    pub error: Option<String>,
}

/// The name of the span of a whole job.
pub const WHOLE: &str = "job";

impl JobSpan {
    /// A span that has lasted so long and ends now.
    pub fn ending(job: JobId, name: &'static str, took: Duration) -> Self {
        let ended = SystemTime::now();
        let began = ended.checked_sub(took).unwrap_or(ended);
        Self { job, name, began, ended, attributes: Vec::new(), error: None }
    }

    /// The same with one thing more that is known.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.attributes.push((name, value.to_string()));
        self
    }

    /// The same, failed, if there is an error.
    #[must_use]
    pub fn failed(self, error: Option<impl ToString>) -> Self {
        Self { error: error.map(|error| error.to_string()), ..self }
    }

    /// The trace of the job, and the span of the whole job in it. Neither tells the job's id, which is a secret of its caller.
    pub fn ids(&self) -> ([u8; 16], [u8; 8]) {
        let digest: [u8; 32] = Sha256::digest([b"trace".as_slice(), self.job.0.as_bytes()].concat()).into();
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&digest[..16]);
        span.copy_from_slice(&digest[16..24]);
        (trace, span)
    }
}

/// Where spans go.
pub trait Tracer: Send + Sync {
    /// Takes a span. It does not wait.
    fn record(&self, span: JobSpan);

    /// Sends what it has, for a short time at most.
    fn flush(&self);
}

/// Does the work on a job; what it does counts as that job's.
pub async fn working_on<T>(job: JobId, work: impl Future<Output = T>) -> T {
    JOB.scope(job, work).await
}

/// The job that the present task works on.
pub(crate) fn current() -> Option<JobId> {
    JOB.try_with(|job| *job).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_has_one_trace_which_does_not_tell_its_id() {
        let job = JobId::random();
        let ids = JobSpan::ending(job, WHOLE, Duration::ZERO).ids();
        assert_eq!(ids, JobSpan::ending(job, "submit", Duration::from_secs(1)).ids());
        assert_ne!(ids, JobSpan::ending(JobId::random(), WHOLE, Duration::ZERO).ids());
        assert_ne!(&ids.0, job.0.as_bytes());
    }
}
