//! The exit codes of the binary.

use std::process::ExitCode;

/// The command has failed.
pub fn failure() -> ExitCode {
    ExitCode::from(1)
}

/// The command line or a setting cannot be used.
pub fn usage() -> ExitCode {
    ExitCode::from(2)
}
