//! Work on pixels off the asynchronous threads.

use tokio::task::JoinError;

/// The work did not return, because it panicked or because the runtime is shutting down.
#[derive(Debug, thiserror::Error)]
#[error("a step panicked: {0}")]
pub struct BlockingError(#[from] JoinError);

/// Runs `work` on a thread on which blocking is allowed. The work goes on when the future is dropped.
///
/// # Errors
/// The work panicked.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, BlockingError> {
    Ok(tokio::task::spawn_blocking(work).await?)
}
