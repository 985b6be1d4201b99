//! Tests of the binary as its users run it: with real models, real processes and a real browser.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod backup;
mod batches;
mod browser;
mod chaos;
mod clients;
mod conformance;
mod crash;
mod docs;
mod enhance;
mod harness;
mod layout;
mod malformed;
mod models;
mod nodes;
mod operators;
mod operators_page;
mod page;
mod page_access;
mod page_faults;
mod page_touch;
mod redis;
mod serve;
mod site;
mod submit;
mod swagger;
mod traces;
mod usage;
mod watching;
mod webhooks;
