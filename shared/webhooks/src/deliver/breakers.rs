//! Receivers (scheme, host and port) that do not answer. Each attempt at one holds a place for as long as a receiver may take. So after eight in a row without an answer
//! one a minute is made, until one is answered.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Attempts in a row without an answer after which a receiver is left alone.
const FAILURES: u32 = 8;
/// How long it is left alone before one attempt is made, and after that again.
const REST: SignedDuration = SignedDuration::from_secs(60);
/// Once so many are remembered, those are forgotten that failed more than a minute ago.
const REMEMBERED: usize = 10_000;

#[derive(Clone, Copy)]
struct Silence {
    /// Attempts in a row without an answer.
    failures: u32,
    /// When the next attempt may be made, once there were too many.
    until: Timestamp,
}

/// The receivers that did not answer lately.
#[derive(Clone, Default)]
pub(super) struct Breakers(Arc<Mutex<HashMap<String, Silence>>>);

impl Breakers {
    /// Whether an attempt may be made at the receiver now. Where that is to find out whether it is back, no other may until it rested again.
    pub(super) fn permits(&self, receiver: &str, now: Timestamp) -> bool {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match silent.get_mut(receiver) {
            Some(silence) if silence.failures >= FAILURES => {
                let permits = silence.until <= now;
                if permits {
                    silence.until = now + REST;
                }
                permits
            }
            _ => true,
        }
    }

    /// An attempt at the receiver came to its end.
    pub(super) fn record(&self, receiver: &str, answered: bool, now: Timestamp) {
        let mut silent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if answered {
            silent.remove(receiver);
            return;
        }
        if silent.len() >= REMEMBERED {
            silent.retain(|_, silence| silence.until > now);
        }
        let silence = silent.entry(receiver.to_owned()).or_insert(Silence { failures: 0, until: now });
        silence.failures = silence.failures.saturating_add(1);
        silence.until = now + REST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_receiver_is_tried_by_one_attempt_at_a_time() {
        let (breakers, start) = (Breakers::default(), Timestamp::UNIX_EPOCH);
        let at = |seconds| start + SignedDuration::from_secs(seconds);
        for _ in 0..FAILURES {
            assert!(breakers.permits("a.example", start));
            breakers.record("a.example", false, start);
        }
        assert!(!breakers.permits("a.example", at(59)) && breakers.permits("b.example", at(59)));
        assert!(breakers.permits("a.example", at(60)));
        assert!(!breakers.permits("a.example", at(60)), "one finds out");
        breakers.record("a.example", false, at(70));
        assert!(!breakers.permits("a.example", at(129)) && breakers.permits("a.example", at(130)));
        breakers.record("a.example", true, at(131));
        assert!(breakers.permits("a.example", at(131)) && breakers.permits("a.example", at(131)));
    }

    #[test]
    fn answers_between_failures_start_the_count_again() {
        let breakers = Breakers::default();
        for _ in 0..FAILURES * 3 {
            breakers.record("a.example", false, Timestamp::UNIX_EPOCH);
            assert!(breakers.permits("a.example", Timestamp::UNIX_EPOCH));
            breakers.record("a.example", true, Timestamp::UNIX_EPOCH);
        }
        assert!(breakers.0.lock().unwrap().is_empty());
    }

    #[test]
    fn few_are_remembered() {
        let breakers = Breakers::default();
        for number in 0..3 * REMEMBERED as i64 {
            breakers.record(
                &format!("{number}.example"),
                false,
                Timestamp::UNIX_EPOCH + SignedDuration::from_secs(number),
            );
        }
        assert!(breakers.0.lock().unwrap().len() <= REMEMBERED);
    }
}
