//! Error messages for a command line or an environment that cannot be parsed. A bad value gets exactly one line.

use std::{error::Error as _, process::ExitCode};

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::args::Cli;
use crate::exit;

/// Prints the message and returns the exit code. Requests for help and for the version arrive here as well.
pub fn explain(error: &clap::Error) -> ExitCode {
    match bad_value(error) {
        Some(line) => eprintln!("error: {line}"),
        // clap prints help and the version to stdout.
        None => {
            let _ = error.print();
        }
    }
    if error.use_stderr() { exit::usage() } else { ExitCode::SUCCESS }
}

/// The line `NAME is "got"; it takes …`. A setting is named by its environment variable, and the line refers to the page
/// that documents it.
fn bad_value(error: &clap::Error) -> Option<String> {
    if !matches!(error.kind(), ErrorKind::ValueValidation | ErrorKind::InvalidValue) {
        return None;
    }
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        _ => None,
    };
    let (argument, got) = (context(ContextKind::InvalidArg)?, context(ContextKind::InvalidValue)?);
    let takes = error.source()?.to_string();
    let flag = argument.split_whitespace().next()?;
    let name = flag.trim_start_matches("--");
    Some(match variable(name) {
        // The value of a secret setting is never printed, not even a wrong one.
        Some((variable, true)) => format!("{variable} cannot be used: {takes} (see docs/configuration.md)"),
        Some((variable, false)) => format!("{variable} is {got:?}; it takes {takes} (see docs/configuration.md)"),
        None => format!("{flag} is {got:?}; it takes {takes}"),
    })
}

/// The environment variable of the setting with this flag, and whether its value is secret.
fn variable(flag: &str) -> Option<(String, bool)> {
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve")?;
    let argument = serve.get_arguments().find(|argument| argument.get_long() == Some(flag))?;
    let name = argument.get_env()?.to_string_lossy().into_owned();
    Some((name, argument.is_hide_env_values_set()))
}
