//! The store itself failed.

use std::error::Error;
use std::sync::Arc;

/// The store did not do what was asked, for a reason of its own. The operation may be tried again.
#[derive(Debug, Clone, thiserror::Error)]
#[error("job store: {what}")]
pub struct StoreError {
    what: String,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl StoreError {
    /// An error that has no other error behind it.
    pub fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), source: None }
    }

    /// An error of the database, a reply that cannot be read, and the like.
    pub fn caused_by(source: impl Error + Send + Sync + 'static) -> Self {
        Self { what: source.to_string(), source: Some(Arc::new(source)) }
    }
}
