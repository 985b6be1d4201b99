//! The job store and queue: what it promises, by whom it is called, and by which rules it decides.
//!
//! [`ports`] has a trait for each kind of caller. [`rules`] has the decisions as pure functions. `contract` is the meaning
//! of each verb as tests, which every implementation passes. The implementations are crates of their own, in `sqlite/` and
//! `redis/` beside this one.

#![warn(missing_docs)]

mod error;
pub mod notifier;
mod policy;
pub mod ports;
pub mod rules;

#[cfg(any(test, feature = "testing"))]
pub mod contract;

pub use error::StoreError;
pub use notifier::Watch;
pub use policy::Policy;
pub use ports::*;
pub use remaster_shared::stats::{QueueGauges, Stats};
