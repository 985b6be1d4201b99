//! The port through which callers watch a pull.

/// What a pull tells its caller. Calls may come from any thread.
pub trait Progress: Send + Sync {
    /// A source begins to deliver `asset_id`. Comes again when another file or another source of it begins.
    /// `total_bytes` is the sum over the asset's files.
    fn started(&self, asset_id: &str, total_bytes: u64, source: &str);
    /// `bytes_done` of the asset's `total_bytes` are here; falls back when a source is given up.
    /// An estimate while pip works, which reports no count of its own.
    fn advanced(&self, asset_id: &str, bytes_done: u64);
    /// The asset is verified and installed. Not called for one that failed or was there already.
    fn finished(&self, asset_id: &str);
    /// One line for a person: a refused or unreachable source, a wait for another process.
    fn note(&self, line: &str);
}

/// Watches nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _asset_id: &str, _total_bytes: u64, _source: &str) {}
    fn advanced(&self, _asset_id: &str, _bytes_done: u64) {}
    fn finished(&self, _asset_id: &str) {}
    fn note(&self, _line: &str) {}
}
