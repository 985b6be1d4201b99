//! What a store promises, as one trait for each kind of caller, so that nobody can call what is not theirs.
//!
//! The API holds [`Submissions`], a worker holds a [`WorkQueue`], the deliverer of webhooks an [`Outbox`], the janitor
//! [`Housekeeping`], the administration port [`Operations`]; the workers announce themselves in the [`WorkerRegistry`]. Every port except [`WorkerRegistry`] also includes
//! [`Jobs`], the trait for reading.
//! Every verb is one atomic step and is durable before it returns; with Redis it is as durable as the server's AOF setting makes
//! it (`docs/operations.md`). No verb reads or writes a picture.

mod housekeeping;
mod jobs;
mod operations;
mod outbox;
mod submissions;
mod work_queue;
mod worker_registry;

pub use housekeeping::{GARBAGE_LEASE, Housekeeping, Reaped};
pub use jobs::Jobs;
pub use operations::{JobList, Operations, RequeueError};
pub use outbox::{DueHooks, HOOK_LEASE, HookRoom, Outbox};
pub use submissions::{
    CancelError, IDEMPOTENCY_TTL, Idempotency, NewJob, NewJobs, Submissions, SubmitError, Submitted,
};
pub use work_queue::{Beat, Claim, ClaimRequest, Lease, LeaseError, Outcome, WorkQueue};
pub use worker_registry::WorkerRegistry;

/// Everything that a store does, for the one place that opens it and hands out its parts.
pub trait Store: Submissions + WorkQueue + Outbox + Housekeeping + Operations + WorkerRegistry {}

impl<T: Submissions + WorkQueue + Outbox + Housekeeping + Operations + WorkerRegistry> Store for T {}

/// A store that several parts of a process share.
pub type SharedStore = std::sync::Arc<dyn Store>;
