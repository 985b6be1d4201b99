//! What is said when the command line or the environment cannot be understood: one line for a bad value.

use std::{error::Error as _, process::ExitCode};

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::USAGE;
use crate::args::Cli;

pub fn explain(error: &clap::Error) -> ExitCode {
    match bad_value(error) {
        Some(line) => eprintln!("error: {line}"),
        // Help and version go to stdout, with success.
        None => {
            let _ = error.print();
        }
    }
    if error.use_stderr() { USAGE.into() } else { ExitCode::SUCCESS }
}

/// `NAME is "got"; it takes …`, for a setting by the name of its variable, with where it is documented.
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
        // A secret is not shown, not even a wrong one.
        Some((variable, true)) => format!("{variable} cannot be used: {takes} (see docs/configuration.md)"),
        Some((variable, false)) => format!("{variable} is {got:?}; it takes {takes} (see docs/configuration.md)"),
        None => format!("{flag} is {got:?}; it takes {takes}"),
    })
}

/// The environment variable of a setting's flag, and whether its value is secret.
fn variable(flag: &str) -> Option<(String, bool)> {
    let cli = Cli::command();
    let serve = cli.find_subcommand("serve")?;
    let argument = serve.get_arguments().find(|argument| argument.get_long() == Some(flag))?;
    let name = argument.get_env()?.to_string_lossy().into_owned();
    Some((name, argument.is_hide_env_values_set()))
}
