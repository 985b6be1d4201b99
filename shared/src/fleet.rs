//! The workers of this service as they announce themselves: device, models, jobs in flight, last seen.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::catalogue::ModelInfo;

/// A worker announces itself at least this often.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(10);
/// One that was silent for longer counts as gone.
pub const WORKER_SEEN: Duration = Duration::from_secs(30);
/// For so long its models count as there to be used all the same: workers that restart take their jobs up again.
pub const WORKER_REMEMBERED: Duration = Duration::from_secs(600);

/// What a worker says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// Unique to the process.
    pub name: String,
    pub version: String,
    /// Where its networks run: `cpu`, `cuda:0`, …
    pub device: String,
    /// The models it can run.
    pub models: Vec<ModelInfo>,
    /// Jobs it works on at once.
    pub jobs: u32,
    pub in_flight: u32,
    /// Whether it is stopping: it takes no more jobs.
    pub stopping: bool,
    /// Why it takes no jobs at present, after a fault of its own; a worker of release 0.1 does not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}

/// An announcement, and when the store received it.
#[derive(Debug, Clone, PartialEq)]
pub struct WorkerSeen {
    pub said: Announcement,
    pub at: Timestamp,
}

impl WorkerSeen {
    pub fn is_live(&self, now: Timestamp) -> bool {
        !self.said.stopping && self.within(WORKER_SEEN, now)
    }

    pub fn is_remembered(&self, now: Timestamp) -> bool {
        self.within(WORKER_REMEMBERED, now)
    }

    fn within(&self, time: Duration, now: Timestamp) -> bool {
        now.duration_since(self.at).unsigned_abs() < time
    }
}
