//! The outcome of a submit.

/// What was submitted.
pub struct Submitted<T> {
    /// The job or the batch as the store has it now.
    pub record: T,
    /// Whether it is that of an earlier request with the same key.
    pub replayed: bool,
}
