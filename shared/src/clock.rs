//! Time as a port, so that tests of leases, daily quotas and backoff need not wait.

use std::sync::Arc;

use jiff::Timestamp;

/// A source of the current time.
pub trait Clock: Send + Sync + 'static {
    /// The current time in whole milliseconds, which is the resolution that the stores keep.
    fn now(&self) -> Timestamp;
}

/// A clock that several components share.
pub type SharedClock = Arc<dyn Clock>;

/// The clock of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        from_millis(Timestamp::now().as_millisecond())
    }
}

/// The timestamp that is `ms` milliseconds after the Unix epoch. A value out of range becomes the nearest valid timestamp.
pub fn from_millis(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(any(test, feature = "testing"))]
mod manual {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use super::*;

    /// A clock for tests that moves only when [`advance`](Self::advance) is called.
    #[derive(Debug)]
    pub struct ManualClock(AtomicI64);

    impl ManualClock {
        /// A clock that shows `now`.
        pub fn at(now: Timestamp) -> Arc<Self> {
            Arc::new(Self(AtomicI64::new(now.as_millisecond())))
        }

        /// Moves the clock forward.
        pub fn advance(&self, by: Duration) {
            self.0.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
        }
    }

    impl Clock for ManualClock {
        fn now(&self) -> Timestamp {
            from_millis(self.0.load(Ordering::SeqCst))
        }
    }
}

#[cfg(any(test, feature = "testing"))]
pub use manual::ManualClock;
