//! The `remaster` binary: reads the configuration, composes the parts, runs one command.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

mod args;
mod backing;
mod catalogue;
mod config;
mod enhance;
mod files;
mod healthcheck;
mod log;
mod models;
mod node;
mod parse;
mod progress;
mod provision;
mod serve;
mod spool;
mod usage;

use std::{process::ExitCode, time::Duration};

use clap::Parser;

use crate::args::{Cli, Command};

const FAILED: u8 = 1;
const USAGE: u8 = 2;

fn main() -> ExitCode {
    if let Err(error) = dotenvy::from_path(".env")
        && !error.not_found()
    {
        eprintln!("error: the file .env cannot be read: {error}");
        return USAGE.into();
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return usage::explain(&error),
    };
    match run(cli) {
        Ok(code) => code,
        Err(error) => {
            // The whole chain on one line: what failed, and why.
            eprintln!("error: {error:#}");
            FAILED.into()
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let command = cli.command.unwrap_or(Command::Serve(cli.serve));
    match command {
        Command::Serve(args) => block_on(serve::serve(*args)),
        Command::Api(args) => block_on(serve::api(*args)),
        Command::Worker(args) => block_on(serve::worker(*args)),
        Command::Enhance(args) => block_on(enhance::run(*args)),
        Command::Models(command) => models::run(command),
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
    // A download or an encoding may be under way on a blocking thread; nobody waits for it any more.
    runtime.shutdown_timeout(Duration::from_millis(500));
    result
}
