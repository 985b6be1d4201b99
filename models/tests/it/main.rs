//! The crate from outside: pulling from a local server and with a script in place of pip, importing files, real weights.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod bundled;
mod disk_full;
mod http;
mod import;
mod mirror;
mod network;
mod pip;
mod real;
mod server;
mod support;
