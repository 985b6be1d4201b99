//! The domain of Remaster: plain values and small ports that every other crate may use.
//!
//! Jobs and batches ([`job`]), who is charged and how much ([`client`], [`quota`]), repeated requests ([`idempotency`]), webhooks as
//! values ([`webhook`]), workers as they announce themselves ([`fleet`]), and the closed table of errors ([`error`]).
//! This crate names no web framework, no inference runtime, no database and no object storage.

pub mod blob_key;
pub mod catalogue;
pub mod client;
pub mod clock;
pub mod error;
pub mod fleet;
pub mod idempotency;
pub mod ip_ranges;
pub mod job;
pub mod metrics;
pub mod quota;
pub mod stats;
pub mod tls;
pub mod webhook;
