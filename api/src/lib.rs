//! The HTTP API: a request is parsed, submitted or looked up, and rendered.
//!
//! | module | what it does |
//! |---|---|
//! | `routes` | one handler per operation: it calls the modules below, in this order |
//! | `parse` | from a request to typed values: the caller, the options, the upload |
//! | `submit` | from a parsed request to jobs in the queue, and the rollback of a submit that failed |
//! | `lookup` | reading jobs and batches, and waiting for them to change |
//! | `render` | from records to responses: JSON with an `ETag`, PNG, ZIP, Server-Sent Events, quota headers |
//! | `openapi` | the parts of the OpenAPI document that no single handler owns |
//!
//! The crate runs no inference and decodes no picture past its header. [`router`] is the whole service and [`serve`] runs it.

#![warn(missing_docs)]

mod admin;
mod connections;
mod dependencies;
mod fleet;
mod hosts;
mod inputs;
mod lookup;
mod openapi;
mod parse;
mod problem;
pub mod proxies;
mod render;
mod routes;
mod server;
mod state;
mod submit;

pub use admin::{Admin, WorkerState, admin_router};
pub use axum::Router;
pub use connections::{ConnectionLimits, serve};
pub use dependencies::DependencyView;
pub use fleet::{Fleet, FleetView};
pub use hosts::Hosts;
pub use parse::allowances::DailyAllowances;
pub use parse::option_spec;
pub use routes::{document, router};
pub use state::{Api, ApiSettings, Parts, Webhooks};
pub use submit::rollback::carry_out_withdrawals;
