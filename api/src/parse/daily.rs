//! Counts of a day, in the memory of this node. They bound what is taken by those whom they are of, and are not anybody's bill: each node
//! counts for itself and forgets with its process.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::sync::Cache;
use remaster_shared::quota::UtcDay;

/// How many counts are remembered. Of more, those that are seldom used are forgotten.
const REMEMBERED: u64 = 400_000;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// Counts by day and key.
pub struct Daily<K>(Cache<(UtcDay, K), Arc<AtomicU64>>);

/// What is counted of a submit. It is taken back when this is dropped, unless the submit was carried out.
#[derive(Debug, Default)]
pub struct Counted(Vec<(Arc<AtomicU64>, u64)>);

impl<K: Hash + Eq + Send + Sync + 'static> Daily<K> {
    /// No counts.
    pub fn new() -> Self {
        Self(Cache::builder().max_capacity(REMEMBERED).time_to_live(DAY).build())
    }

    /// Counts `amount` more for `key`, as part of `counted`, and returns the count after it.
    pub fn add(&self, day: UtcDay, key: K, amount: u64, counted: &mut Counted) -> u64 {
        let used = self.0.get_with((day, key), Arc::default);
        let before = used.fetch_add(amount, Ordering::Relaxed);
        counted.0.push((used, amount));
        before.saturating_add(amount)
    }

    /// The count of `key`.
    pub fn get(&self, day: UtcDay, key: K) -> u64 {
        self.0.get(&(day, key)).map_or(0, |used| used.load(Ordering::Relaxed))
    }
}

impl Counted {
    /// The submit was carried out.
    pub fn keep(mut self) {
        self.0.clear();
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        for (used, amount) in &self.0 {
            used.fetch_sub(*amount, Ordering::Relaxed);
        }
    }
}
