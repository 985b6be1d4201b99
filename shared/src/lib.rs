//! The domain of Remaster: plain values and small ports that every other crate may use.
//!
//! Jobs and batches ([`job`]), their ids and links ([`ids`], [`links`]), who is charged and how much ([`client`],
//! [`quota`]), repeated requests ([`idempotency`]), webhooks as values ([`webhook`]), workers as they announce themselves
//! ([`fleet`]), the GPUs of the machine ([`gpu`]), and the closed table of errors ([`error`]). This crate depends on no web framework, inference runtime,
//! database or object storage.

#![warn(missing_docs)]

pub mod blob_key;
#[allow(missing_docs, reason = "the fields of a model's description are named like the fields of the manifest")]
pub mod catalogue;
pub mod client;
pub mod clock;
pub mod error;
pub mod fence;
pub mod fleet;
pub mod gpu;
pub mod idempotency;
pub mod ids;
pub mod ip_ranges;
pub mod job;
pub mod links;
pub mod metrics;
pub mod quota;
pub mod recipe;
pub mod stats;
pub mod tls;
pub mod trace;
pub mod version;
pub mod webhook;
