//! What tests of several crates share: the real models and the test photo ([`library`], [`photo`]), servers that a test can
//! start, stop and restart ([`RedisServer`], [`S3Server`]), a [`Receiver`] of webhooks, a [`python()`] with packages to compare
//! with, and the script [`axe_core`] for the web page.

#![warn(missing_docs)]
#![expect(clippy::panic, clippy::unwrap_used, reason = "a test that lacks its assets or servers cannot continue")]

mod assets;
mod python;
mod receiver;
mod redis;
mod s3;

pub use assets::{MODELS, SMALL_MODEL, folder, library, openvino, options, photo, photo_path, runtime};
pub use python::{axe_core, python, python_for_pictures};
pub use receiver::{Behaviour, Receiver, body, header};
pub use redis::{RedisCluster, RedisSentinel, RedisServer, RedisTls};
pub use s3::S3Server;
