//! pip, for which a shell script stands: what it is asked for, and how its failures are reported.

use std::io::Write;
use std::path::{Path, PathBuf};

use remaster_models::{PipCommand, PullOptions, pull};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::support::{Told, bare, content, library, manifest, names, pull_one};

const SOURCE: &str = "{ pip = \"p\", version = \"1\", member = \"inner/file\" }";

/// A pip whose download runs `script`, with the destination in `$dest`; each download adds a line to `log`.
fn pip(log: &Path, script: &str) -> PullOptions {
    let body = format!(
        "case $1 in --version) exit 0;; esac; echo \"$@\" >> {}; while [ $# -gt 0 ]; do case $1 in --dest) dest=$2;; \
         esac; shift; done; {script}",
        log.display()
    );
    PullOptions { pip: vec![PipCommand(["sh", "-c", &body, "pip"].map(str::to_owned).to_vec())], ..bare() }
}

fn wheel(dir: &Path, member: &str, bytes: &[u8]) -> PathBuf {
    let path = dir.join("p-1-py3-none-any.whl");
    let mut zip = ZipWriter::new(std::fs::File::create(&path).unwrap());
    zip.start_file(member, SimpleFileOptions::default()).unwrap();
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap();
    path
}

#[test]
fn one_download_serves_every_asset_of_the_package() {
    let (dir, library) = library();
    let log = dir.path().join("log");
    let wheel = wheel(dir.path(), "inner/file", &content());
    let options = pip(&log, &format!("cp {} $dest", wheel.display()));
    for outcome in pull(&manifest(&["a", "b"], SOURCE), &library, &["a", "b"], &options, &Told::default()).unwrap() {
        outcome.result.unwrap();
    }
    assert_eq!(names(library.dir()), ["a.bin", "b.bin"]);
    let log = std::fs::read_to_string(log).unwrap();
    assert_eq!(log.lines().count(), 1, "{log}");
    assert!(log.starts_with("download --no-deps --only-binary=:all:") && log.contains("p==1"), "{log}");
}

#[test]
fn a_wheel_with_other_bytes_or_without_the_member_is_refused() {
    for (member, bytes, said) in [
        ("inner/file", vec![0; 300_000], "wrong SHA-256"),
        ("inner/file", vec![0; 300], "wrong size"),
        ("other", content(), "does not have it"),
    ] {
        let (dir, library) = library();
        let wheel = wheel(dir.path(), member, &bytes);
        let options = pip(&dir.path().join("log"), &format!("cp {} $dest", wheel.display()));
        let error = pull_one(&manifest(&["a"], SOURCE), &library, &options, &Told::default()).result.unwrap_err();
        assert!(error.to_string().contains(&format!("pip package p 1: {said}")), "{error}");
        assert!(names(library.dir()).is_empty());
    }
}

#[test]
fn a_failure_reads_as_one_line_and_happens_once() {
    let (dir, library) = library();
    let log = dir.path().join("log");
    let script = "echo 'ERROR: a long story' >&2; echo 'ERROR: No matching distribution found for p==1' >&2; exit 1";
    let told = Told::default();
    let manifest = manifest(&["a", "b"], SOURCE);
    for outcome in pull(&manifest, &library, &["a", "b"], &pip(&log, script), &told).unwrap() {
        let text = outcome.result.unwrap_err().to_string();
        assert!(text.ends_with("pip failed: No matching distribution found for p==1"), "{text}");
    }
    assert_eq!(std::fs::read_to_string(log).unwrap().lines().count(), 1);
    assert!(names(library.dir()).is_empty());
}

#[test]
fn an_unreachable_index_is_said_once_and_then_only_local_folders_are_asked() {
    let (dir, library) = library();
    let log = dir.path().join("log");
    let script = "echo \"WARNING: Retrying after connection broken by 'E(': Failed: [Errno 111] Connection refused')': \
                  /simple/p/\" >&2; echo 'ERROR: No matching distribution found for p==1' >&2; exit 1";
    let told = Told::default();
    let two = format!("{SOURCE}, {}", SOURCE.replace("\"1\"", "\"2\""));
    let outcome = pull_one(&manifest(&["a"], &two), &library, &pip(&log, script), &told);
    let text = outcome.result.unwrap_err().to_string();
    assert!(text.contains("p 1: unreachable: [Errno 111] Connection refused; pip package p 2: unreachable"), "{text}");
    assert_eq!(told.lines("note").len(), 1, "{:?}", told.lines("note"));
    let log = std::fs::read_to_string(log).unwrap();
    let asked: Vec<bool> = log.lines().map(|line| line.contains("--no-index")).collect();
    assert_eq!(asked, [false, true]);
}

#[test]
fn without_pip_the_ways_out_are_named() {
    let (_dir, library) = library();
    let commands = [&["/nowhere/python3", "-m", "pip"][..], &["/nowhere/pip3"], &["false"]];
    let pip = commands.map(|words| PipCommand(words.iter().map(|&word| word.to_owned()).collect())).to_vec();
    let options = PullOptions { pip, ..bare() };
    let error = pull_one(&manifest(&["a"], SOURCE), &library, &options, &Told::default()).result.unwrap_err();
    let text = error.to_string();
    for words in ["tried /nowhere/python3 -m pip, /nowhere/pip3, false", "ASSET_MIRROR", "remaster models import"] {
        assert!(text.contains(words), "{text}");
    }
    assert_eq!(text.lines().count(), 1);
}
