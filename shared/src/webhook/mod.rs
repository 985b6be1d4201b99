//! Webhooks: what is sent, how it is signed, where it may go, and when it is tried again.
//!
//! Plain values and one guarded HTTP client; storing deliveries and running them is done elsewhere.

pub mod delivery;
pub mod egress;
pub mod event;
pub mod schedule;
pub mod secret;
pub mod sign;
