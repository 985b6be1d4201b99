//! Counts one asset's bytes over its files and sources, and tells [`Progress`].

use crate::progress::Progress;

/// The byte count of one asset.
pub(crate) struct Meter<'a> {
    progress: &'a dyn Progress,
    asset: &'a str,
    total: u64,
    done: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(progress: &'a dyn Progress, asset: &'a str, total: u64) -> Self {
        Self { progress, asset, total, done: 0 }
    }

    pub(crate) fn asset(&self) -> &str {
        self.asset
    }

    pub(crate) fn begin(&self, source: &str) {
        self.progress.started(self.asset, self.total, source);
    }

    /// `bytes` of the current file are here.
    pub(crate) fn file_at(&self, bytes: u64) {
        self.progress.advanced(self.asset, self.done.saturating_add(bytes));
    }

    /// `bytes` of a package that holds the asset's files are here.
    pub(crate) fn estimate(&self, bytes: u64) {
        self.progress.advanced(self.asset, self.done.saturating_add(bytes).min(self.total));
    }

    pub(crate) fn file_done(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        self.progress.advanced(self.asset, self.done);
    }

    pub(crate) fn note(&self, line: &str) {
        self.progress.note(line);
    }
}
