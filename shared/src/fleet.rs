//! The workers of this service as they announce themselves: their devices, models and jobs in flight, and when each was
//! last seen.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::ModelInfo;

/// The interval at which a worker announces itself, at the longest.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);
/// A worker that has been silent for longer than this counts as gone.
pub const WORKER_SEEN: Duration = Duration::from_secs(30);
/// The models of a worker that is gone count as available for this long, so that jobs wait for workers that restart.
pub const WORKER_REMEMBERED: Duration = Duration::from_secs(600);

/// What a worker announces about itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// The name of the worker, unique to its process.
    pub name: String,
    /// The release that it runs.
    pub version: String,
    /// The device that its networks run on, such as `cpu` or `cuda:0`.
    pub device: String,
    /// The models it can run.
    pub models: Vec<ModelInfo>,
    /// How many jobs it processes at once.
    pub jobs: u32,
    /// How many jobs it is processing now.
    pub in_flight: u32,
    /// Whether it is stopping, and so takes no more jobs.
    pub stopping: bool,
    /// Why it takes no jobs at present, after a fault of its own; a worker of release 0.1 does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}

/// An announcement, with the time at which the store received it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSeen {
    /// What the worker announced.
    pub said: Announcement,
    /// When the store received it.
    pub at: Timestamp,
}

impl WorkerSeen {
    /// Whether the worker counts as running: it was heard of within [`WORKER_SEEN`] and is not stopping.
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.said.stopping && self.within(WORKER_SEEN, now)
    }

    /// Whether the worker's models still count as available: it was heard of within [`WORKER_REMEMBERED`].
    pub fn is_remembered(&self, now: Timestamp) -> bool {
        self.within(WORKER_REMEMBERED, now)
    }

    fn within(&self, time: Duration, now: Timestamp) -> bool {
        now.duration_since(self.at).unsigned_abs() < time
    }
}
