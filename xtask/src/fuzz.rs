//! `cargo xtask fuzz`: every target of `fuzz/` under libFuzzer, guided by coverage.

use std::path::Path;
use std::process::Command;

use anyhow::Context;

use crate::{cargo, execute};

/// The instrumentation that libFuzzer reads. These are flags of LLVM, so that the stable compiler takes them.
const COVERAGE: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
     -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
     -Cllvm-args=-sanitizer-coverage-trace-compares -Cdebug-assertions -Coverflow-checks -Ccodegen-units=1";
/// How long each target is run, in seconds, unless it is said otherwise.
const SECONDS: &str = "60";

/// Runs every target for so many seconds. New inputs are kept in `target/fuzz`, and an input that breaks a target is named.
pub fn run(seconds: Option<String>) -> anyhow::Result<()> {
    let seconds = seconds.unwrap_or(SECONDS.to_owned());
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folder = root.join("target/fuzz");
    // The flags are for the programs of the target only, and not for build scripts, hence the named target.
    let host = host()?;
    let mut build =
        cargo(&["build", "--release", "-p", "remaster-fuzz", "--features", "libfuzzer", "--bin", "libfuzzer"]);
    build.args(["--locked", "--target", &host]).arg("--target-dir").arg(&folder).env("RUSTFLAGS", COVERAGE);
    execute("build of the targets", build)?;
    let mut targets: Vec<_> = std::fs::read_dir(root.join("fuzz/corpus"))?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<std::io::Result<_>>()?;
    targets.sort();
    for target in targets {
        let found = folder.join("corpus").join(&target);
        std::fs::create_dir_all(&found)?;
        let mut command = Command::new(folder.join(&host).join("release/libfuzzer"));
        command.arg(found).arg(root.join("fuzz/corpus").join(&target)).env("FUZZ_TARGET", &target);
        command.args([&format!("-max_total_time={seconds}"), "-max_len=65536", "-timeout=10", "-print_final_stats=1"]);
        command.args(["-rss_limit_mb=2048", &format!("-artifact_prefix={}/", folder.display())]);
        execute(&target, command)?;
    }
    Ok(())
}

/// The name of this machine's platform.
fn host() -> anyhow::Result<String> {
    let said = Command::new("rustc").arg("-vV").output()?;
    let said = String::from_utf8(said.stdout)?;
    said.lines().find_map(|line| line.strip_prefix("host: ")).map(str::to_owned).context("rustc names no host")
}
