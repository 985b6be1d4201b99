//! The API over HTTP, with a real store and storage; a test plays the worker where one is needed.

mod bad_input;
mod enhance;
mod harness;
mod jobs;
mod openapi;
mod quota;
mod service;
