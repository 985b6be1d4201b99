//! Webhooks: what is sent, how it is signed, where it may go, and when it is tried again.
//!
//! A store keeps the outbox ([`Store::due_hooks`](remaster_store::Store::due_hooks)); [`deliver`] empties it. The rest is plain
//! values and one guarded HTTP client.

pub mod deliver;
pub mod egress;
pub mod event;
pub mod schedule;
pub mod sign;
