//! A Python with the packages that tests compare results with. pip installs them once.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::assets::folder;

/// The packages and their versions. Each list of packages has a folder of its own.
const PACKAGES: [&str; 5] = [
    "cryptography==50.0.2",
    "openapi-python-client==0.29.1",
    "requests==2.34.2",
    "schemathesis==4.32.5",
    "standardwebhooks==1.1.0",
];
/// A Python package that carries axe-core. Its own dependencies are a browser and what drives it, which are not needed.
const AXE_CORE: [&str; 2] = ["--no-deps", "axe-playwright-python==0.1.8"];

/// What writes and reads picture files.
const PICTURES: [&str; 8] = [
    "imagecodecs==2026.3.6",
    "numpy==2.4.6",
    "pillow==13.0.0",
    "pillow-heif==1.8.1",
    "pypng==0.20220715.0",
    "pyvips==3.2.0",
    "pyvips-binary==8.18.7",
    "tifffile==2026.3.3",
];

/// A command that runs `python3` with the packages.
pub fn python() -> Command {
    with(&PACKAGES)
}

/// A command that runs `python3` with packages that write and read picture files.
pub fn python_for_pictures() -> Command {
    with(&PICTURES)
}

fn with(packages: &[&str]) -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", installed(packages)).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}

/// The script of axe-core, which finds faults of a web page's accessibility.
pub fn axe_core() -> String {
    fs::read_to_string(installed(&AXE_CORE).join("axe_playwright_python/axe.min.js")).unwrap()
}

/// The folder with what pip installs for these arguments.
fn installed(packages: &[&str]) -> PathBuf {
    let name: String = packages.join("+").chars().filter(|c| c.is_ascii_alphanumeric() || ".+".contains(*c)).collect();
    let target = folder().join("python").join(name);
    let done = target.join("installed");
    fs::create_dir_all(&target).unwrap();
    // Each test is a process of its own. One of them installs the packages while the others wait.
    let lock = File::create(target.join("lock")).unwrap();
    lock.lock().unwrap();
    if !done.is_file() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "-q", "--upgrade", "--target"]).arg(&target).args(packages);
        let status = pip.stdin(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "pip cannot install {packages:?}");
        fs::write(done, "").unwrap();
    }
    target
}
