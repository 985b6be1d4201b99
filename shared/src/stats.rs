//! The numbers that a store reports about itself.

use std::collections::BTreeMap;

use jiff::Timestamp;

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

/// What operators watch of the queue, over all nodes. Each number is cheap to have, however long the queue is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueGauges {
    /// When the oldest job of the client that waits the longest was submitted.
    pub oldest: Option<Timestamp>,
    /// Queued jobs by the upscaler that they need; those that need none under an empty name.
    pub queued_by_model: BTreeMap<String, u64>,
    /// Blobs that are to be deleted now, counted up to a bound.
    pub garbage: u64,
    /// Webhooks that are to be sent, counted up to a bound.
    pub webhooks: u64,
    /// Jobs that were queued again because their worker was not heard of.
    pub reclaimed: u64,
    /// Jobs that failed because every attempt ended with the worker gone.
    pub poisoned: u64,
    /// Jobs that the store had listed somewhere though their records were gone, as when a full Redis evicts them.
    pub lost: u64,
}
