//! The domain of Remaster and the ports that the API and the worker share.
//!
//! Names neither a web framework nor an inference runtime. Everything here is either a plain value
//! ([`job`], [`error`], [`quota`], [`client`], [`proxies`], [`idempotency`]) or a port with its implementation
//! ([`store`], [`blob`], [`clock`], [`catalogue`]). [`webhook`] holds both: what is sent, and the guarded client.

pub mod blob;
pub mod catalogue;
pub mod client;
pub mod clock;
pub mod error;
pub mod fleet;
pub mod idempotency;
pub mod job;
pub mod metrics;
pub mod nets;
pub mod picture;
pub mod proxies;
pub mod quota;
pub mod store;
pub mod tls;
pub mod webhook;
