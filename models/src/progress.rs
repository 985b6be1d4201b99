//! How callers watch a pull.

/// What a pull tells its caller. Calls may come from any thread.
pub trait Progress: Send + Sync {
    /// A source begins to deliver `asset_id`. This is called again when another file or another source of it begins.
    /// `total_bytes` is the sum over the files of the asset.
    fn started(&self, asset_id: &str, total_bytes: u64, source: &str);
    /// `bytes_done` of the asset's `total_bytes` have arrived. The count falls when a source is given up. It is an estimate
    /// while pip works, because pip does not report a count.
    fn advanced(&self, asset_id: &str, bytes_done: u64);
    /// The asset is verified and installed. This is not called for an asset that failed or was installed before.
    fn finished(&self, asset_id: &str);
    /// One line for a person, about a refused or unreachable source or a wait for another process.
    fn note(&self, line: &str);
}

/// A progress that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {
    fn started(&self, _asset_id: &str, _total_bytes: u64, _source: &str) {}
    fn advanced(&self, _asset_id: &str, _bytes_done: u64) {}
    fn finished(&self, _asset_id: &str) {}
    fn note(&self, _line: &str) {}
}
