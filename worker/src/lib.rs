//! The worker: claims a job, makes its picture, settles it.
//!
//! Top to bottom: [`start`] begins an apalis worker over the store ([`queue`]); each job is held by a lease ([`lease`])
//! while [`job`] fetches its input, [`enhance`] turns it into a PNG, and the result is stored and settled.
//! Only [`engine`] knows the inference runtime.

mod announce;
pub mod enhance;
pub mod faces;
mod gate;
mod janitor;
mod job;
mod lease;
pub mod picture;
mod probes;
mod queue;
mod run;
pub mod upscale;

pub use run::{Shutdown, WorkerSettings, start};
