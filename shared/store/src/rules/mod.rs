//! The rules of the queue, as pure functions: from what is stored and what happens to what has to be done.
//!
//! Nothing here reads a clock or a database. The SQLite store carries these decisions out; the Redis library makes the same
//! decisions on the server, and random interleavings of the verbs hold it to these (`contract/interleaving.rs`).
//!
//! - [`admission`]: whether a submit is accepted.
//! - [`job`]: what an event does to a job: its status, its attempts, its refund, its webhook.
//! - [`fairness`]: whose turn it is.
//! - [`lease`]: when nobody can be blamed for a heartbeat that did not come.
//! - [`price`]: the price of a job, by which its client's turn moves on.
//! - [`retry`]: how long a failed attempt waits.

pub mod admission;
pub mod fairness;
pub mod job;
pub mod lease;
pub mod price;
pub mod retry;
