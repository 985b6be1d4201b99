//! What a store counts of itself.

/// The numbers that `GET /stats` and the metrics show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Clients that were charged at least one unit today (UTC).
    pub clients_today: u64,
    /// Units charged today.
    pub requests_today: u64,
    /// Jobs waiting, those that wait for a retry included.
    pub queued: u64,
    /// Jobs being worked on.
    pub processing: u64,
}
