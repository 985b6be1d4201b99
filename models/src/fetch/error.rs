//! Why a file could not be fetched. Each error is one line that a person can act on.

use std::fmt;

use crate::disk::DiskError;

/// Why a file could not be fetched.
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
    /// The models directory cannot take the file.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// One source that did not serve the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tried {
    /// The source, in words.
    pub source: String,
    /// Why it did not.
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
    /// It served other bytes than the pinned ones.
    #[error("wrong SHA-256, got {got}, expected {expected}")]
    WrongHash {
        /// The hash of what came.
        got: String,
        /// The pinned hash.
        expected: String,
    },
    /// It served or announced another size than the pinned one.
    #[error("wrong size, got {got} bytes, expected {expected}")]
    WrongSize {
        /// The bytes that were served or announced.
        got: u64,
        /// The pinned size.
        expected: u64,
    },
    /// It did not answer.
    #[error("unreachable: {0}")]
    Unreachable(String),
    /// Its answer broke off; the next fetch resumes it.
    #[error("interrupted: {0}")]
    Interrupted(String),
    /// It is reachable, and does not have the file.
    #[error("does not have it")]
    Absent,
    /// It gave any other HTTP answer.
    #[error("answered HTTP {0}")]
    Status(u16),
    /// Its file cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// There is no pip on this machine.
    #[error("no pip found (tried {0}): install pip, set ASSET_MIRROR, or use `remaster models import`")]
    NoPip(String),
    /// pip ran and failed; this is the last meaningful line of its output.
    #[error("pip failed: {0}")]
    Pip(String),
}

impl SourceError {
    /// Whether the source served bytes that must not be used.
    pub(crate) fn is_refusal(&self) -> bool {
        matches!(self, Self::WrongHash { .. } | Self::WrongSize { .. })
    }

    /// Whether the next file from the same place would fail for the same reason.
    pub(crate) fn is_about_the_place(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::NoPip(_))
    }
}

/// Why one attempt failed: because of the source, or because of this machine.
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

/// A text from elsewhere, with its lines and spaces joined to one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn list(tried: &[Tried]) -> String {
    tried.iter().map(Tried::to_string).collect::<Vec<_>>().join("; ")
}
