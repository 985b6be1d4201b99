//! When a failed delivery is repeated, and when it has ended.
//!
//! The delays are those of the example schedule in [Standard Webhooks 1.0](https://www.standardwebhooks.com). The functions
//! are pure: the caller supplies the current time and the jitter.

use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime};

use remaster_shared::webhook::Next;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: Duration = Duration::from_secs(24 * HOUR);

/// The delays between attempts. The first attempt is made at once, so there are at most ten.
pub const RETRY_DELAYS: [Duration; 9] = [
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(14 * HOUR),
    Duration::from_secs(20 * HOUR),
    DAY,
];

/// The outcome of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The receiver has answered.
    Response {
        /// The HTTP status of the response.
        code: u16,
        /// The delay that the receiver asks for, as [`retry_after`] reads it.
        retry_after: Option<Duration>,
    },
    /// The egress policy refused the attempt, or the connection failed, broke off or timed out.
    NoResponse,
}

/// A random factor that spreads retries, so that deliveries that failed together are not repeated together.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    /// No jitter.
    pub const NONE: Jitter = Jitter(1.0);
    /// The factors that are drawn from: up to 10 % in either direction.
    const RANGE: RangeInclusive<f64> = 0.9..=1.1;

    /// A random factor.
    pub fn random() -> Self {
        Self(rand::random_range(Self::RANGE))
    }
}

/// What follows after `attempts_made` attempts, of which the last had this outcome.
pub fn next(attempts_made: u32, outcome: &Outcome, jitter: Jitter) -> Next {
    let asked = match *outcome {
        Outcome::Response { code: 200..=299, .. } => return Next::Delivered,
        // 410 Gone: the receiver wants no more webhooks.
        Outcome::Response { code: 410, .. } => return Next::GiveUp,
        Outcome::Response { code: 429 | 503, retry_after } => retry_after.unwrap_or_default().min(DAY),
        _ => Duration::ZERO,
    };
    let failed = usize::try_from(attempts_made.saturating_sub(1)).unwrap_or(usize::MAX);
    RETRY_DELAYS.get(failed).map_or(Next::GiveUp, |wait| Next::Retry(wait.mul_f64(jitter.0).max(asked)))
}

/// Reads the field `Retry-After` (RFC 9110, section 10.2.3): a number of seconds, or a date. A date in the past means that
/// no delay is asked for.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number that does not fit is treated as the longest possible delay.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn status(code: u16) -> Outcome {
        Outcome::Response { code, retry_after: None }
    }

    #[test]
    fn every_failure_goes_through_the_whole_schedule() {
        let seconds = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
        for outcome in
            [Outcome::NoResponse, status(302), status(400), status(404), status(500), status(502), status(100)]
        {
            for (wait, attempts) in seconds.into_iter().zip(1..) {
                let next = next(attempts, &outcome, Jitter::NONE);
                assert_eq!(next, Next::Retry(Duration::from_secs(wait)), "{outcome:?} after {attempts}");
            }
            assert_eq!(next(10, &outcome, Jitter::NONE), Next::GiveUp);
            assert_eq!(next(u32::MAX, &outcome, Jitter::NONE), Next::GiveUp);
        }
    }

    #[test]
    fn a_success_or_410_ends_the_delivery() {
        for attempts in [1, 9, 10, 11] {
            for code in [200, 201, 202, 204, 299] {
                assert_eq!(next(attempts, &status(code), Jitter::NONE), Next::Delivered);
            }
            assert_eq!(next(attempts, &status(410), Jitter::NONE), Next::GiveUp);
        }
    }

    #[test]
    fn the_receiver_may_ask_for_longer_but_not_for_less() {
        // (status, attempts made, Retry-After, seconds until the next)
        for (code, attempts, asked, wait) in [
            (429, 1, 60, 60),
            (503, 1, 60, 60),
            (503, 2, 60, 300),
            (429, 9, 60, 86_400),
            (429, 1, 1_000_000, 86_400),
            (500, 1, 60, 5),
            (302, 1, 60, 5),
        ] {
            let outcome = Outcome::Response { code, retry_after: Some(Duration::from_secs(asked)) };
            assert_eq!(next(attempts, &outcome, Jitter::NONE), Next::Retry(Duration::from_secs(wait)), "{outcome:?}");
        }
        let patient = Outcome::Response { code: 429, retry_after: Some(Duration::from_secs(60)) };
        assert_eq!(next(10, &patient, Jitter::NONE), Next::GiveUp);
        // The requested delay is a minimum, which jitter does not shorten.
        let asked = Outcome::Response { code: 429, retry_after: Some(Duration::from_secs(300)) };
        assert_eq!(next(2, &asked, Jitter(0.9)), Next::Retry(Duration::from_secs(300)));
    }

    proptest! {
        #[test]
        fn jitter_changes_a_delay_by_at_most_a_tenth(factor in Jitter::RANGE, attempts in 1..=9_u32) {
            let Next::Retry(wait) = next(attempts, &Outcome::NoResponse, Jitter(factor)) else { panic!("no retry") };
            let delay = RETRY_DELAYS[attempts as usize - 1].as_secs_f64();
            prop_assert!((wait.as_secs_f64() / delay - 1.0).abs() < 0.100_001, "{wait:?}");
        }
    }

    #[test]
    fn random_jitter_is_in_its_range_and_varies() {
        let factors: Vec<f64> = std::iter::repeat_with(|| Jitter::random().0).take(50).collect();
        assert!(factors.iter().all(|factor| Jitter::RANGE.contains(factor)), "{factors:?}");
        assert!(factors.iter().any(|factor| *factor != factors[0]), "{factors:?}");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 01 Jun 2025 12:00:00 GMT").unwrap();
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(u64::MAX)),
            ("Sun, 01 Jun 2025 12:01:30 GMT", Some(90)),
            ("Sun, 01 Jun 2025 11:00:00 GMT", Some(0)),
            ("", None),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
        ] {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
        }
    }
}
