//! The outcome of a submit.

use remaster_shared::quota::Quota;

/// What was submitted.
pub struct Submitted<T> {
    /// The job or the batch as the store has it now.
    pub record: T,
    /// The client's quota after it.
    pub quota: Quota,
    /// Whether it is that of an earlier request with the same key.
    pub replayed: bool,
}
