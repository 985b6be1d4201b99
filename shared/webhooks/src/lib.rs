//! Webhooks after [Standard Webhooks 1.0](https://www.standardwebhooks.com): what is sent, how it is signed, where it may be
//! sent, and when a failed delivery is repeated.
//!
//! A store keeps the outbox ([`Outbox::due_hooks`](remaster_store::Outbox::due_hooks)), and the [`deliver::Deliverer`]
//! empties it. The other modules are plain values and one guarded HTTP client.

#![warn(missing_docs)]

pub mod deliver;
pub mod egress;
pub mod event;
pub mod schedule;
pub mod sign;
