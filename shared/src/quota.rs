//! The daily quota: how many images a client may submit per UTC day.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A UTC day, as the number of days since the Unix epoch. Units are charged to the day of the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UtcDay(pub i64);

impl UtcDay {
    /// The day that `now` belongs to.
    pub fn of(now: Timestamp) -> Self {
        Self(now.as_second().div_euclid(86_400))
    }
}

/// The UTC midnight at which the quota of the current day ends.
pub fn next_reset(now: Timestamp) -> Timestamp {
    // Unix time has no leap seconds, so every UTC day has 86,400 seconds.
    Timestamp::from_second((UtcDay::of(now).0 + 1) * 86_400).unwrap_or(Timestamp::MAX)
}

/// How much of its daily quota a client has used, in units. Each accepted image costs one unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Quota {
    /// Units charged today.
    pub used: u64,
    /// Units per day.
    pub limit: u64,
    /// Units left today.
    pub remaining: u64,
    /// The coming UTC midnight, at which `used` returns to 0.
    #[schema(value_type = String, format = DateTime)]
    pub reset: Timestamp,
}

impl Quota {
    /// The quota of a client that has used `used` of `limit` units at the time `now`.
    pub fn new(used: u64, limit: u64, now: Timestamp) -> Self {
        Self { used, limit, remaining: limit.saturating_sub(used), reset: next_reset(now) }
    }

    /// The number of whole seconds from `now` to the reset, plus 1, so that whoever waits that long comes after the reset.
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
