//! The settings of a store.

use std::time::Duration;

/// The limits and times that a store applies.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Units per client and UTC day.
    pub daily_limit: u64,
    /// Waiting jobs, over all clients, past which submits are refused.
    pub max_queue: u64,
    /// How long a claim lasts without a heartbeat.
    pub lease: Duration,
    /// Attempts after which a job that fails, or kills its worker, has failed for good.
    pub max_attempts: u32,
    /// The wait before the second attempt. It doubles with each further one, give or take a quarter.
    pub retry_after: Duration,
    /// How long a result is kept.
    pub result_ttl: Duration,
    /// How much longer than its result a job's record is kept.
    pub record_ttl: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            daily_limit: 10_000,
            max_queue: 100_000,
            lease: Duration::from_secs(30),
            max_attempts: 3,
            retry_after: Duration::from_secs(2),
            result_ttl: Duration::from_secs(24 * 3600),
            record_ttl: Duration::from_secs(24 * 3600),
        }
    }
}
