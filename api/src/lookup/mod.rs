//! Reading jobs and batches from the store, and waiting for them to change.

pub mod long_poll;
pub mod records;
pub mod shared_reads;
