//! Why an engine could not run a network.

use std::error::Error;

use remaster_shared::job::ModelId;

/// The error behind an [`EngineError`]. Boxed, so that the port does not depend on an implementation's error types.
pub type Cause = Box<dyn Error + Send + Sync>;

/// Why a network was not run to its end.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// No model of that id is in the library, or the inference runtime is not there yet.
    #[error("the model {0} is not installed")]
    NotInstalled(ModelId),
    /// The model is installed, but its file cannot be read or the runtime refuses it.
    #[error("the model {0} cannot be loaded: {1}")]
    Load(ModelId, #[source] Cause),
    /// The model is installed, but cannot be mixed with its weak denoiser.
    #[error("the model {0} cannot be told how much noise to remove: {1}")]
    NotMixed(ModelId, #[source] Cause),
    /// The device ran out of memory. A smaller input may fit.
    #[error("out of memory: {0}")]
    OutOfMemory(#[source] Cause),
    /// The network was loaded, and its run failed.
    #[error("the network failed: {0}")]
    Run(#[source] Cause),
    /// The engine's threads have ended.
    #[error("the engine has stopped")]
    Stopped,
}

impl EngineError {
    /// A run that failed by `cause`. Runtimes have no code for an exhausted memory, so it is known by `exhausted`: what their allocators
    /// say, in lower case.
    pub(crate) fn of_run(cause: Cause, exhausted: &[&str]) -> Self {
        let text = cause.to_string().to_lowercase();
        if exhausted.iter().any(|message| text.contains(message)) { Self::OutOfMemory(cause) } else { Self::Run(cause) }
    }
}
