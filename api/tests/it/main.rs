//! The API over HTTP, with a real store and a real object storage. Where a job has to be worked on, the test plays the worker.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod bad_input;
mod batches;
mod connections;
mod counting_store;
mod enhance;
mod events;
mod expiry;
mod fixtures;
mod harness;
mod image_url;
mod jobs;
mod openapi;
mod quota;
mod service;
mod sse;
mod webhooks;
mod withdrawal;
