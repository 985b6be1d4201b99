//! The inputs and outputs of jobs in object storage: one key for each input, one for the output of each attempt.
//!
//! Every attempt writes to a key of its own, so a worker that has lost its lease can never overwrite the picture of the
//! worker that took over.

#![warn(missing_docs)]

mod blobs;
mod cloud;
mod folder;
mod open;
mod storage;
#[cfg(test)]
mod tests;
mod withdrawals;

pub use blobs::{BlobError, BlobStream, Blobs};
pub use storage::{Storage, StorageError};
pub use withdrawals::Withdrawal;
