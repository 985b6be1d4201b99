//! How long a failed attempt waits before the next.

use std::time::Duration;

use rand::RngExt;

/// Doublings after which the wait stays the same.
const MAX_DOUBLINGS: u32 = 16;

/// The wait before the attempt that follows attempt number `attempt` (from 1): `base`, doubled for each attempt after the
/// first, times `spread`.
pub fn wait(base: Duration, attempt: u32, spread: f64) -> Duration {
    base.saturating_mul(1 << attempt.saturating_sub(1).min(MAX_DOUBLINGS)).mul_f64(spread)
}

/// A random factor from 0.75 to 1.25, so that jobs that failed together do not come back together.
pub fn spread() -> f64 {
    rand::rng().random_range(0.75..1.25)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_bounded() {
        let waits = [1, 2, 3, 40].map(|attempt| wait(Duration::from_secs(2), attempt, 1.0).as_secs());
        assert_eq!(waits, [2, 4, 8, 131_072]);
        assert!((0.75..1.25).contains(&spread()));
    }
}
