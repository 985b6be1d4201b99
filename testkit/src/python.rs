//! A Python with the packages that ours is compared against, installed by pip once.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::folder;

/// Kept apart by this list: another list is another folder.
const PACKAGES: [&str; 3] = ["cryptography==50.0.2", "schemathesis==4.32.5", "standardwebhooks==1.1.0"];

/// `python3` with the packages.
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
    // Tests are processes of their own: one installs, the others wait.
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
