//! `remaster models`: a failure is reported in one line, and leaves no files behind.

use std::path::Path;
use std::process::Output;

use remaster_testkit::SMALL_MODEL;

use crate::harness::{default_device, remaster, run, stderr, with_models};

/// The names of the files in a models folder, without its lock file.
fn left(folder: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned());
    names.filter(|name| !name.ends_with("lock")).collect()
}

fn error_lines(output: &Output) -> Vec<String> {
    stderr(output).lines().filter(|line| line.starts_with("error: ")).map(str::to_owned).collect()
}

#[test]
fn installed_models_are_listed_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(with_models(folder.path()).args(["models", "list"]));
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    for id in ["onnxruntime", "realesrgan-x4plus", "realesr-animevideov3"] {
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(id)).unwrap();
        assert!(line.contains("installed"), "{line}");
    }
    assert!(list.contains("BSD-3-Clause"));
    let output = run(with_models(folder.path()).args(["models", "verify"]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn an_unreachable_source_is_one_error_line_and_leaves_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    let mut command = remaster(folder.path());
    // There is no pip on the PATH, and nothing listens at the address of the mirror.
    command.env("PATH", folder.path()).env("ASSET_MIRROR", "http://127.0.0.1:9/x").env("MODELS_DIR", &models);
    let output = run(command.args(["models", "pull", "realesr-animevideov3"]));
    assert_eq!(output.status.code(), Some(1));
    let errors = error_lines(&output);
    assert_eq!(errors.len(), 1, "{}", stderr(&output));
    assert!(errors[0].contains("realesr-animevideov3") && errors[0].contains("pip"), "{errors:?}");
    assert_eq!(left(&models), Vec::<String>::new());
}

#[test]
fn a_wrong_file_in_the_mirror_is_refused_by_its_hash() {
    let folder = tempfile::tempdir().unwrap();
    let (models, mirror) = (folder.path().join("models"), folder.path().join("mirror"));
    std::fs::create_dir(&mirror).unwrap();
    for name in ["REALESRGAN_ANIMAVIDEOV3_UP4X.bin", "REALESRGAN_ANIMAVIDEOV3_UP4X.param"] {
        std::fs::write(mirror.join(name), b"not the weights").unwrap();
    }
    let mut command = remaster(folder.path());
    command.env("PATH", folder.path()).env("ASSET_MIRROR", &mirror).env("MODELS_DIR", &models);
    let output = run(command.args(["models", "pull", "realesr-animevideov3"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(error_lines(&output)[0].contains("REALESRGAN_ANIMAVIDEOV3_UP4X"), "{}", stderr(&output));
    assert_eq!(left(&models), Vec::<String>::new());
}

#[test]
fn an_unknown_id_names_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(with_models(folder.path()).args(["models", "pull", "esrgan"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("realesrgan-x4plus"), "{}", stderr(&output));
}

#[test]
fn networks_are_measured() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(with_models(folder.path()).args(["bench", SMALL_MODEL, "--side", "32", "--runs", "2"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    let row = table.lines().find(|line| line.contains(SMALL_MODEL)).unwrap();
    let cells: Vec<&str> = row.split('|').map(str::trim).collect();
    assert_eq!(cells[2], "32x32");
    assert!(["fp32", "bf16"].contains(&cells[3]), "{table}");
    assert!(cells[6].parse::<f64>().unwrap() > 0.0, "{table}");
    assert!(table.contains(&format!("on {} (", default_device())), "{table}");
    let output = run(with_models(folder.path()).args(["bench", "none-such"]));
    assert!(stderr(&output).contains("none-such is no upscaler"), "{}", stderr(&output));
}
