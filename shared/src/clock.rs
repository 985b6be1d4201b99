//! Time as a port, so that leases, days and backoff can be tested without waiting.

use std::sync::Arc;

use jiff::Timestamp;

pub trait Clock: Send + Sync + 'static {
    /// Now, in whole milliseconds (what the stores keep).
    fn now(&self) -> Timestamp;
}

pub type SharedClock = Arc<dyn Clock>;

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        from_millis(Timestamp::now().as_millisecond())
    }
}

/// A timestamp from milliseconds since the Unix epoch; what is out of range becomes the nearest end.
pub fn from_millis(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX })
}

#[cfg(any(test, feature = "testing"))]
mod manual {
    use std::sync::atomic::{AtomicI64, Ordering};
    use std::time::Duration;

    use super::*;

    /// A clock that moves only when told to.
    #[derive(Debug)]
    pub struct ManualClock(AtomicI64);

    impl ManualClock {
        pub fn at(now: Timestamp) -> Arc<Self> {
            Arc::new(Self(AtomicI64::new(now.as_millisecond())))
        }

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
