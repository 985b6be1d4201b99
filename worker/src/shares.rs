//! Whose jobs this worker works on. A client has at most half of them while others wait: its next job then comes after theirs, so that a few
//! jobs that take an hour do not hold up everybody for as long.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use remaster_shared::client::ClientKey;

/// How many jobs of each client this worker works on.
#[derive(Clone)]
pub struct Shares {
    /// A client's share.
    most: usize,
    held: Arc<Mutex<HashMap<ClientKey, usize>>>,
}

/// One of a client's jobs, until it is dropped.
pub struct Share {
    all: Shares,
    client: ClientKey,
}

impl Shares {
    /// The shares in a worker that works on `jobs` jobs at once.
    pub fn new(jobs: usize) -> Self {
        Self { most: (jobs / 2).max(1), held: Arc::default() }
    }

    /// Counts a job of `client`.
    pub fn take(&self, client: ClientKey) -> Share {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner).entry(client).or_default() += 1;
        Share { all: self.clone(), client }
    }

    /// The clients that have their share.
    pub fn used_up(&self) -> Vec<ClientKey> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.iter().filter(|(_, jobs)| **jobs >= self.most).map(|(client, _)| *client).collect()
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.all.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = held.get_mut(&self.client) {
            *jobs -= 1;
            if *jobs == 0 {
                held.remove(&self.client);
            }
        }
    }
}

impl std::fmt::Debug for Share {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Share")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_half_of_the_jobs() {
        let (one, other) = (ClientKey([1; 16]), ClientKey([2; 16]));
        for (jobs, most) in [(1, 1), (2, 1), (3, 1), (4, 2), (8, 4)] {
            let shares = Shares::new(jobs);
            let mut held: Vec<_> = (1..most).map(|_| shares.take(one)).collect();
            assert_eq!(shares.used_up(), [], "{jobs}");
            held.push(shares.take(one));
            assert_eq!(shares.used_up(), [one], "{jobs}");
            let of_other: Vec<_> = (0..most).map(|_| shares.take(other)).collect();
            assert_eq!(shares.used_up().len(), 2);
            drop((held, of_other));
            assert!(shares.held.lock().unwrap().is_empty());
        }
    }
}
