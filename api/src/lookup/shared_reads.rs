//! Reads that are shared by all who ask for the same record at the same time.
//!
//! Whoever asks gets what a read has found that began after the asking, so nobody misses a change. While one read is under way, all who
//! ask meanwhile wait for the next one: however many follow a batch, there is never more than one read of it at a time.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::OnceCell;

use crate::problem::ApiResult;

/// What a read has found, for everybody who takes part in it.
type Found<T> = ApiResult<Arc<T>>;

/// The reads of records of one kind, by their ids.
pub struct SharedReads<K, T>(Mutex<HashMap<K, Weak<Reads<T>>>>);

/// The reads of one record.
struct Reads<T> {
    /// Held while the store is read.
    turn: tokio::sync::Mutex<()>,
    /// The read that has not begun yet.
    next: Mutex<Arc<OnceCell<Found<T>>>>,
}

impl<K, T> Default for SharedReads<K, T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Hash + Eq + Copy, T> SharedReads<K, T> {
    /// What `read` finds, or the same read of another caller.
    ///
    /// # Errors
    /// The read fails, for all who take part in it.
    pub async fn read<R: Future<Output = ApiResult<T>>>(&self, id: K, read: impl FnOnce() -> R) -> Found<T> {
        let reads = self.reads_of(id);
        let cell = Arc::clone(&reads.next.lock().unwrap_or_else(PoisonError::into_inner));
        let found = cell.get_or_init(|| async {
            let _turn = reads.turn.lock().await;
            // Whoever asks from now on needs a later read.
            *reads.next.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
            read().await.map(Arc::new)
        });
        found.await.clone()
    }

    fn reads_of(&self, id: K) -> Arc<Reads<T>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(reads) = all.get(&id).and_then(Weak::upgrade) {
            return reads;
        }
        // Those that nobody waits for any more.
        all.retain(|_, reads| reads.strong_count() > 0);
        let reads = Arc::new(Reads { turn: tokio::sync::Mutex::default(), next: Mutex::default() });
        all.insert(id, Arc::downgrade(&reads));
        reads
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use futures::future::join_all;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn those_who_ask_together_share_a_read_that_begins_after_all_of_them() {
        let (reads, begun) = (SharedReads::<u8, usize>::default(), AtomicUsize::new(0));
        let read = || async {
            let number = begun.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(100)).await;
            Ok(number)
        };
        let ask = |wait: u64| {
            let (reads, read) = (&reads, &read);
            async move {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                *reads.read(1, read).await.unwrap()
            }
        };
        // The first reads alone; the others come while it does, and share the next read; the last comes during that one.
        let asked = [0, 50, 60, 70, 150].map(ask);
        assert_eq!(join_all(asked).await, [1, 2, 2, 2, 3]);
        assert_eq!(*reads.read(2, || async { Ok(9) }).await.unwrap(), 9);
        assert_eq!(reads.0.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a_reader_that_goes_away_leaves_the_others_with_a_read() {
        let reads = SharedReads::<u8, u8>::default();
        let never = reads.read(1, || async { std::future::pending().await });
        assert!(tokio::time::timeout(Duration::from_millis(10), never).await.is_err());
        assert_eq!(*reads.read(1, || async { Ok(7) }).await.unwrap(), 7);
    }
}
