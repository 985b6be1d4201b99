//! A full disk. A file size limit stands for it: the test runs itself under `ulimit -f`.

use std::path::Path;
use std::process::Command;

use remaster_models::{AssetError, DiskError, FetchError, ImportError, ImportOptions, PullOptions, import};

use crate::support::{Told, bare, content, library, manifest, names, pull_one};

const SELF: &str = "disk_full::a_full_disk_is_named_and_nothing_stays";
/// This variable is set for the run under the limit. It names the folder with files that are larger than the limit.
const FOLDER: &str = "REMASTER_TEST_FULL_DISK";

#[test]
fn a_full_disk_is_named_and_nothing_stays() {
    if let Some(folder) = std::env::var_os(FOLDER) {
        return under_the_limit(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let (param, bin) = crate::network::files(10_000);
    std::fs::write(folder.path().join("m.param"), param).unwrap();
    std::fs::write(folder.path().join("m.bin"), bin).unwrap();
    std::fs::write(folder.path().join("a.bin"), content()).unwrap();
    // 64 blocks are 32 or 64 KiB, depending on the shell. When the signal is ignored, the write fails with an error.
    let output = Command::new("sh")
        .args(["-c", "ulimit -f 64; trap '' XFSZ; exec \"$0\" --exact \"$1\" --nocapture"])
        .arg(std::env::current_exe().unwrap())
        .arg(SELF)
        .env(FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn under_the_limit(folder: &Path) {
    let (_dir, library) = library();
    let options = PullOptions { mirror: Some(folder.to_str().unwrap().to_owned()), ..bare() };
    let manifest = manifest(&["a"], "{ url = \"http://127.0.0.1:1/f\" }");
    let error = pull_one(&manifest, &library, &options, &Told::default()).result.unwrap_err();
    let full = matches!(&error, AssetError::Fetch(FetchError::Disk(DiskError::Full { needed: 300_000, .. })));
    assert!(full, "{error}");
    let text = error.to_string();
    assert!(text.contains(&library.dir().display().to_string()) && text.lines().count() == 1, "{text}");
    assert!(names(library.dir()).is_empty(), "{:?}", names(library.dir()));

    let error = import(&folder.join("m.param"), "m", &library, &ImportOptions::default()).unwrap_err();
    assert!(matches!(&error, ImportError::Disk(DiskError::Full { .. })), "{error}");
    assert!(names(library.dir()).is_empty(), "{:?}", names(library.dir()));
}
