//! The API over HTTP, with a real store and storage; a test plays the worker where one is needed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod batches;
mod enhance;
mod events;
mod expiry;
mod harness;
mod jobs;
mod openapi;
mod quota;
mod service;
mod webhooks;
