//! The crate from outside: pulling against a local server and a make-believe pip, importing files, real weights.

#![allow(clippy::unwrap_used, reason = "tests")]

mod disk_full;
mod http;
mod import;
mod mirror;
mod pip;
mod pytorch;
mod real;
mod server;
mod support;
