//! What a store promises, as one trait for each kind of caller, so that nobody can call what is not theirs.
//!
//! The API holds [`Submissions`], a worker holds a [`WorkQueue`], the deliverer of webhooks an [`Outbox`], the janitor
//! [`Housekeeping`]; the workers announce themselves in the [`WorkerRegistry`]. Every port except [`WorkerRegistry`] also includes
//! [`Jobs`], the trait for reading.
//! Every verb is one atomic step and is durable before it returns. No verb reads or writes a picture.

mod housekeeping;
mod jobs;
mod outbox;
mod submissions;
mod work_queue;
mod worker_registry;

pub use housekeeping::{Housekeeping, Reaped};
pub use jobs::Jobs;
pub use outbox::{DueHooks, HOOK_LEASE, HookRoom, Outbox};
pub use submissions::{
    CancelError, IDEMPOTENCY_TTL, Idempotency, NewJob, NewJobs, Submissions, SubmitError, Submitted,
};
pub use work_queue::{Beat, Claim, ClaimRequest, Lease, LeaseError, Outcome, WorkQueue};
pub use worker_registry::WorkerRegistry;

/// Everything that a store does, for the one place that opens it and hands out its parts.
pub trait Store: Submissions + WorkQueue + Outbox + Housekeeping + WorkerRegistry {}

impl<T: Submissions + WorkQueue + Outbox + Housekeeping + WorkerRegistry> Store for T {}

/// A store that several parts of a process share.
pub type SharedStore = std::sync::Arc<dyn Store>;
