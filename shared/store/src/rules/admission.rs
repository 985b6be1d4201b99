//! Whether a submit is accepted.

use crate::Policy;

/// What the decision depends on, read in the same step in which the submit is carried out.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Units that the client has used today.
    pub used: u64,
    /// Jobs that wait, over all clients.
    pub waiting: u64,
}

/// What becomes of a submit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// The client is charged and the jobs are queued.
    Accepted,
    /// The client has too few units left today.
    OverQuota,
    /// Too many jobs wait already.
    QueueFull,
}

/// Decides about a submit of `units` accepted files. The client's quota is looked at first, so that a client that is over it
/// learns nothing of the queue.
pub fn decide(policy: &Policy, load: Load, units: u64) -> Admission {
    if load.used.saturating_add(units) > policy.daily_limit {
        Admission::OverQuota
    } else if load.waiting.saturating_add(units) > policy.max_queue {
        Admission::QueueFull
    } else {
        Admission::Accepted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_unit_and_the_last_place_are_given() {
        let policy = Policy { daily_limit: 10, max_queue: 5, ..Policy::default() };
        let decide = |used, waiting, units| decide(&policy, Load { used, waiting }, units);
        assert_eq!(decide(9, 4, 1), Admission::Accepted);
        assert_eq!(decide(9, 4, 2), Admission::OverQuota);
        assert_eq!(decide(0, 4, 2), Admission::QueueFull);
        assert_eq!(decide(u64::MAX, 0, 1), Admission::OverQuota);
        // A batch of nothing but refused files costs nothing, and so passes.
        assert_eq!(decide(10, 5, 0), Admission::Accepted);
    }
}
