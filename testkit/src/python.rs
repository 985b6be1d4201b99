//! A Python with the packages that tests compare results with. pip installs them once.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::assets::folder;

/// The packages and their versions. Each list of packages has a folder of its own.
const PACKAGES: [&str; 3] = ["cryptography==50.0.2", "schemathesis==4.32.5", "standardwebhooks==1.1.0"];

/// A command that runs `python3` with the packages.
pub fn python() -> Command {
    let mut command = Command::new("python3");
    command.env("PYTHONPATH", packages()).env("PYTHONDONTWRITEBYTECODE", "1").stdin(Stdio::null());
    command
}

fn packages() -> PathBuf {
    let name: String = PACKAGES.join("+").chars().filter(|c| c.is_ascii_alphanumeric() || ".+".contains(*c)).collect();
    let target = folder().join("python").join(name);
    let done = target.join("installed");
    fs::create_dir_all(&target).unwrap();
    // Each test is a process of its own. One of them installs the packages while the others wait.
    let lock = File::create(target.join("lock")).unwrap();
    lock.lock().unwrap();
    if !done.is_file() {
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "-q", "--upgrade", "--target"]).arg(&target).args(PACKAGES);
        let status = pip.stdin(Stdio::null()).status();
        assert!(status.is_ok_and(|status| status.success()), "pip cannot install {PACKAGES:?}");
        fs::write(done, "").unwrap();
    }
    target
}
