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

/// Deferrals that wait no longer than the first: what a service that was down for a moment meets.
const PROMPT_DEFERRALS: u32 = 5;
/// Doublings of the wait of a deferral.
const DEFERRAL_DOUBLINGS: u32 = 6;

/// The wait of a job that was deferred `deferrals` times before: `base` at first, and then doubled up to 64 times that, times `spread`. So
/// what is out of order for hours fails no job, and a job that no worker gets done does not keep them busy.
pub fn deferral(base: Duration, deferrals: u32, spread: f64) -> Duration {
    let doublings = deferrals.saturating_sub(PROMPT_DEFERRALS).min(DEFERRAL_DOUBLINGS);
    base.saturating_mul(1 << doublings).mul_f64(spread)
}

/// A random factor from 0.75 to 1.25, so that jobs that failed together do not come back together.
pub fn spread() -> f64 {
    rand::rng().random_range(0.75..1.25)
}

#[cfg(test)]
mod tests {
    use super::super::job::MAX_DEFERRALS;
    use super::*;

    #[test]
    fn waits_double_and_stay_bounded() {
        let waits = [1, 2, 3, 40].map(|attempt| wait(Duration::from_secs(2), attempt, 1.0).as_secs());
        assert_eq!(waits, [2, 4, 8, 131_072]);
        assert!((0.75..1.25).contains(&spread()));
    }

    #[test]
    fn what_is_out_of_order_for_hours_fails_no_job() {
        let waits: Vec<_> =
            (0..MAX_DEFERRALS).map(|deferrals| deferral(Duration::from_secs(5), deferrals, 1.0)).collect();
        assert_eq!(waits[..9].iter().map(Duration::as_secs).collect::<Vec<_>>(), [5, 5, 5, 5, 5, 5, 10, 20, 40]);
        assert_eq!(waits.last(), Some(&Duration::from_secs(320)));
        assert!(waits.iter().sum::<Duration>() > Duration::from_secs(3 * 3600));
    }
}
