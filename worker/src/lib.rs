//! The worker: it claims a job, makes its picture and settles it.
//!
//! [`start`] begins the work; from then on each job is claimed from the store, held by a lease, and run: its input is
//! fetched, [`enhance`] turns it into a picture, and the result is stored and settled. Networks run behind the port that
//! [`remaster_engine`] defines; nothing here knows the inference runtime.

#![warn(missing_docs)]

mod announce;
mod assignment;
mod blocking;
mod deadline;
pub mod enhance;
pub mod faces;
pub mod gate;
pub mod janitor;
mod job;
mod lease;
mod measured;
mod output;
pub mod picture;
mod probes;
mod progress;
mod queue;
mod reuse;
mod run;
mod shares;
mod space;
pub mod upscale;

pub use blocking::BlockingError;
pub use measured::MeasuredEngine;
pub use output::OutputError;
pub use progress::Progress;
pub use run::{Shutdown, WorkerSettings, start};
