//! The daily policy: so many images per client per UTC day, free, without accounts.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Days since the Unix epoch, UTC: the period a unit is charged to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcDay(pub i64);

impl UtcDay {
    pub fn of(now: Timestamp) -> Self {
        Self(now.as_second().div_euclid(86_400))
    }
}

/// The midnight (UTC) at which the current day's quota resets.
pub fn next_reset(now: Timestamp) -> Timestamp {
    // Unix time has no leap seconds: every UTC day is 86,400 of its seconds.
    Timestamp::from_second((UtcDay::of(now).0 + 1) * 86_400).unwrap_or(Timestamp::MAX)
}

/// What a client has used of its day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    pub used: u64,
    pub limit: u64,
    pub remaining: u64,
    /// The coming UTC midnight.
    #[schema(value_type = String, format = DateTime)]
    pub reset: Timestamp,
}

impl Quota {
    pub fn new(used: u64, limit: u64, now: Timestamp) -> Self {
        Self { used, limit, remaining: limit.saturating_sub(used), reset: next_reset(now) }
    }

    /// Whole seconds from `now` to the reset, at least 1.
    pub fn seconds_to_reset(&self, now: Timestamp) -> u64 {
        let left: SignedDuration = self.reset.duration_since(now);
        left.as_secs().max(0) as u64 + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resets_at_the_coming_midnight() {
        let cases = [
            ("2026-02-28T23:59:59.999Z", "2026-03-01T00:00:00Z"),
            ("2026-03-01T00:00:00Z", "2026-03-02T00:00:00Z"),
            ("2024-02-28T12:00:00Z", "2024-02-29T00:00:00Z"),
        ];
        for (now, reset) in cases {
            let now: Timestamp = now.parse().unwrap();
            assert_eq!(next_reset(now), reset.parse::<Timestamp>().unwrap());
            assert_eq!(UtcDay::of(next_reset(now)).0, UtcDay::of(now).0 + 1);
        }
    }
}
