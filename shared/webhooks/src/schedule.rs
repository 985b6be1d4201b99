//! When a delivery is tried again, and when it is over. Pure: the caller knows the time and draws the jitter.

use std::time::{Duration, SystemTime};

use remaster_shared::webhook::Next;

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: Duration = Duration::from_secs(24 * HOUR);

/// The waits between attempts; the first attempt is made at once.
pub const WAITS: [Duration; 9] = [
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

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    Status {
        code: u16,
        /// See [`retry_after`].
        retry_after: Option<Duration>,
    },
    /// Refused by the egress policy, not connected, broken off, or timed out.
    None,
}

/// Spreads retries, so that deliveries that failed together do not come back together: up to 10 % either way.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Jitter(f64);

impl Jitter {
    pub const NONE: Jitter = Jitter(1.0);

    pub fn random() -> Self {
        Self(rand::random_range(0.9..=1.1))
    }
}

/// What follows after this many attempts, of which the last was answered so.
pub fn next(attempts_made: u32, answer: &Answer, jitter: Jitter) -> Next {
    let asked = match *answer {
        Answer::Status { code: 200..=299, .. } => return Next::Delivered,
        // The receiver says that it is gone for good.
        Answer::Status { code: 410, .. } => return Next::GiveUp,
        Answer::Status { code: 429 | 503, retry_after } => retry_after.unwrap_or_default().min(DAY),
        _ => Duration::ZERO,
    };
    let failed = usize::try_from(attempts_made.saturating_sub(1)).unwrap_or(usize::MAX);
    WAITS.get(failed).map_or(Next::GiveUp, |wait| Next::Retry(wait.mul_f64(jitter.0).max(asked)))
}

/// Reads `Retry-After`: seconds, or a date, of which the past means now.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // More seconds than fit are a very long time.
        return Some(Duration::from_secs(value.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn status(code: u16) -> Answer {
        Answer::Status { code, retry_after: None }
    }

    #[test]
    fn every_failure_goes_through_the_whole_schedule() {
        let seconds = [5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
        for answer in [Answer::None, status(302), status(400), status(404), status(500), status(502), status(100)] {
            for (wait, attempts) in seconds.into_iter().zip(1..) {
                let next = next(attempts, &answer, Jitter::NONE);
                assert_eq!(next, Next::Retry(Duration::from_secs(wait)), "{answer:?} after {attempts}");
            }
            assert_eq!(next(10, &answer, Jitter::NONE), Next::GiveUp);
            assert_eq!(next(u32::MAX, &answer, Jitter::NONE), Next::GiveUp);
        }
    }

    #[test]
    fn an_answer_ends_it() {
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
            let answer = Answer::Status { code, retry_after: Some(Duration::from_secs(asked)) };
            assert_eq!(next(attempts, &answer, Jitter::NONE), Next::Retry(Duration::from_secs(wait)), "{answer:?}");
        }
        let patient = Answer::Status { code: 429, retry_after: Some(Duration::from_secs(60)) };
        assert_eq!(next(10, &patient, Jitter::NONE), Next::GiveUp);
        // What was asked for is a floor, whatever the jitter.
        let asked = Answer::Status { code: 429, retry_after: Some(Duration::from_secs(300)) };
        assert_eq!(next(2, &asked, Jitter(0.9)), Next::Retry(Duration::from_secs(300)));
    }

    #[test]
    fn jitter_stays_within_a_tenth() {
        let mut waits = std::collections::BTreeSet::new();
        for _ in 0..1000 {
            let Next::Retry(wait) = next(2, &Answer::None, Jitter::random()) else { panic!("no retry") };
            assert!((270.0..=330.0).contains(&wait.as_secs_f64()), "{wait:?}");
            waits.insert(wait);
        }
        assert!(waits.len() > 100);
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
