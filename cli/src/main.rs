//! The `remaster` binary: reads the configuration, composes the parts and runs one command.
//!
//! Exit codes: 0 for success, 1 for failure, 2 for wrong usage.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program writes to its terminal")]
#![warn(missing_docs)]

mod allocator;
mod args;
mod backends;
mod backup;
mod banner;
mod bench;
mod catalogue;
mod config;
mod engine;
mod enhance;
mod exit;
mod fetch;
mod files;
mod healthcheck;
mod jobs;
mod log;
mod models;
mod node;
mod parse;
mod progress;
mod secrets;
mod serve;
mod spool;
mod submit;
mod trace;
mod usage;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

use crate::args::{Cli, Command};

fn main() -> ExitCode {
    // First, because what is read after it is read again.
    allocator::keep_little();
    if !runs_among_pictures()
        && let Err(error) = dotenvy::from_path(".env")
        && !error.not_found()
    {
        eprintln!("error: the file .env cannot be read: {error}");
        return exit::usage();
    }
    if let Err(error) = secrets::from_files() {
        eprintln!("error: {error}");
        return exit::usage();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // The alternate form writes the whole chain of causes on one line.
            eprintln!("error: {error:#}");
            exit::failure()
        }
    }
}

/// Whether the command is one that people run in folders of pictures, whose files may be strangers'. A file `.env` there must not choose
/// a library to load, or where pictures are sent.
fn runs_among_pictures() -> bool {
    std::env::args_os().nth(1).is_some_and(|command| command == "enhance" || command == "submit")
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    match command {
        Command::Serve(args) => block_on(serve::serve(*args)),
        Command::Api(args) => block_on(serve::api(*args)),
        Command::Worker(args) => block_on(serve::worker(*args)),
        Command::Enhance(args) => block_on(enhance::run(*args)),
        Command::Submit(args) => block_on(submit::run(*args)),
        Command::Bench(args) => block_on(bench::run(*args)),
        Command::Models(command) => models::run(command),
        Command::Jobs { command, admin } => block_on(jobs::run(command, admin)),
        Command::Backup(args) => backup::run(&args),
        Command::Healthcheck(args) => block_on(healthcheck::run(args)),
        Command::Config => {
            print!("{}", config::page());
            Ok(ExitCode::SUCCESS)
        }
        Command::Openapi => {
            println!("{}", serde_json::to_string_pretty(&remaster_api::document())?);
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn block_on(command: impl Future<Output = anyhow::Result<ExitCode>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(command);
    // A blocking thread may still be busy with a download or an encoding, whose outcome is no longer needed.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}
