//! Counts the bytes of one asset over its files and sources, and reports them to [`Progress`].

use crate::progress::Progress;

/// The byte count of one asset.
pub(crate) struct Meter<'a> {
    progress: &'a dyn Progress,
    asset: &'a str,
    total: u64,
    /// The bytes of the files that are complete.
    done: u64,
}

impl<'a> Meter<'a> {
    pub(crate) fn new(progress: &'a dyn Progress, asset: &'a str, total: u64) -> Self {
        Self { progress, asset, total, done: 0 }
    }

    /// The id of the asset.
    pub(crate) fn asset(&self) -> &str {
        self.asset
    }

    /// A source begins to deliver.
    pub(crate) fn begin(&self, source: &str) {
        self.progress.started(self.asset, self.total, source);
    }

    /// `bytes` of the current file have arrived.
    pub(crate) fn file_at(&self, bytes: u64) {
        self.progress.advanced(self.asset, self.done.saturating_add(bytes));
    }

    /// `bytes` of a package that holds the files of the asset have arrived.
    pub(crate) fn estimate(&self, bytes: u64) {
        self.progress.advanced(self.asset, self.done.saturating_add(bytes).min(self.total));
    }

    /// The current file, which has `bytes`, is complete.
    pub(crate) fn file_done(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        self.progress.advanced(self.asset, self.done);
    }

    /// One line for a person.
    pub(crate) fn note(&self, line: &str) {
        self.progress.note(line);
    }
}
