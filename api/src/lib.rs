//! HTTP in, HTTP out: parse at the edge, call the store, render.
//!
//! Knows no inference and decodes no picture past its header. [`router`] is the whole service; [`serve`] runs it.

mod accept;
mod admin;
mod client;
mod etag;
mod fleet;
mod follow;
mod form;
mod gather;
mod links;
mod openapi;
mod options;
mod problem;
pub mod proxies;
mod quota;
mod routes;
mod server;
mod state;
mod undo;
mod upload;
mod wait;
mod zip;

pub use admin::admin_router;
pub use axum::Router;
pub use fleet::FleetView;
pub use routes::{document, router};
pub use server::serve;
pub use state::{Api, ApiSettings, Webhooks};
