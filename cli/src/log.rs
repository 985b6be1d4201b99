//! The log, which goes to stderr.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::args::LogArgs;
use crate::parse::LogFormat;

/// Starts logging, with colours if stderr is a terminal.
pub fn to_stderr(args: &LogArgs) {
    // A level alone is one for Remaster. The framework of the workers reports at `info` what the worker itself reports.
    let own = if args.log_level == "info" { "info,apalis=warn,apalis_core=warn" } else { &args.log_level };
    // The filter is valid, because it was checked when the arguments were parsed.
    let filter = EnvFilter::try_new(own).unwrap_or_default();
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // A line that cannot be written, on a full disk, would be an error that cannot be written either, and that is a panic.
        .log_internal_errors(false)
        .with_ansi(std::io::stderr().is_terminal());
    match args.log_format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().init(),
    }
}
