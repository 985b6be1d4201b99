//! When the store cannot know whether workers are alive.

use std::time::Duration;

use jiff::Timestamp;

/// Whether the store was out of everybody's reach since it was last called: it, or the whole machine, was paused, or its clock
/// jumped. Heartbeats that were due meanwhile could not arrive, so no lease may end for want of them: each is extended once.
///
/// `last` is the latest time at which any worker claimed a job, sent a heartbeat or ran its janitor. Every worker calls within
/// half a lease of its last call, by a heartbeat, a claim or its janitor.
pub fn was_out_of_reach(last: Option<Timestamp>, now: Timestamp, lease: Duration) -> bool {
    last.is_some_and(|last| now.duration_since(last).unsigned_abs() > lease / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_lease_of_silence_is_no_worker_s_fault() {
        let now: Timestamp = "2026-03-01T12:00:00Z".parse().unwrap();
        let lease = Duration::from_secs(30);
        assert!(!was_out_of_reach(None, now, lease));
        assert!(!was_out_of_reach(Some(now - Duration::from_secs(15)), now, lease));
        assert!(was_out_of_reach(Some(now - Duration::from_secs(16)), now, lease));
        // A clock that was set back by a minute.
        assert!(was_out_of_reach(Some(now + Duration::from_secs(60)), now, lease));
    }
}
