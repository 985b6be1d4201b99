//! The numbers that a store reports about itself.

/// The numbers that `GET /stats` and the metrics show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Clients that were charged at least one unit today (UTC).
    pub clients_today: u64,
    /// Units charged today (UTC).
    pub requests_today: u64,
    /// Jobs that are queued, including those that wait for a retry.
    pub queued: u64,
    /// Jobs that a worker is processing.
    pub processing: u64,
}
