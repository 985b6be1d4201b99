//! `remaster enhance`, without a server.

use remaster_testkit::SMALL_MODEL;

use crate::harness::{models_folder, photo, remaster, run, stderr, with_models};

#[test]
fn a_file_and_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("in/sub")).unwrap();
    std::fs::write(at("in/a.jpg"), photo(40, 30)).unwrap();
    std::fs::write(at("in/sub/b.jpg"), photo(30, 40)).unwrap();

    let single = ["enhance", "in/a.jpg", "-o", "out.png", "--scale", "4", "--model", SMALL_MODEL];
    let output = run(with_models(folder.path()).args(single));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "out.png (160x120)\n");
    assert_eq!(image::open(at("out.png")).unwrap().width(), 160);

    // A file that is not an image does not stop the others. It is named, and the exit code is 1.
    std::fs::write(at("in/c.jpg"), b"text").unwrap();
    let output = run(with_models(folder.path()).args(["enhance", "in", "-o", "out", "--model", SMALL_MODEL]));
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(image::open(at("out/a.png")).unwrap().width(), 80);
    assert_eq!(image::open(at("out/sub/b.png")).unwrap().height(), 80);
    let errors = stderr(&output);
    assert!(errors.contains("in/c.jpg: The bytes are not an image") && errors.contains("1 of 3 failed"), "{errors}");
    assert_eq!(std::fs::read_dir(at("out")).unwrap().count(), 2);
}

#[test]
fn an_unknown_model_is_named() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jpg"), photo(40, 30)).unwrap();
    let output = run(with_models(folder.path()).args(["enhance", "a.jpg", "-o", "b.png", "--model", "none-such"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("none-such is not installed"), "{}", stderr(&output));
}

#[test]
fn without_the_network_nothing_is_fetched() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jpg"), photo(40, 30)).unwrap();
    let mut command = remaster(folder.path());
    command.env("MODELS_DIR", folder.path().join("models")).env("PATH", folder.path());
    let output = run(command.args(["enhance", "a.jpg", "-o", "b.png", "--background", "false", "--faces", "off"]));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(image::open(folder.path().join("b.png")).unwrap().width(), 80);
}

#[test]
fn required_faces_without_a_restorer_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.jpg"), photo(40, 30)).unwrap();
    let output = run(with_models(folder.path()).args(["enhance", "a.jpg", "-o", "b.png", "--faces", "require"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("no face restorer is installed"), "{}", stderr(&output));
    assert!(!folder.path().join("b.png").exists());
}

/// The restorer here is a small network with the inputs and outputs of a real one.
#[test]
fn faces_are_restored_also_without_the_upscaler() {
    let folder = tempfile::tempdir().unwrap();
    let models = folder.path().join("models");
    std::fs::create_dir(&models).unwrap();
    let fixture = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference/faces/gfpgan-1.4.onnx");
    std::fs::copy(fixture, models.join("gfpgan-1.4.onnx")).unwrap();
    std::fs::write(folder.path().join("a.jpg"), photo(200, 200)).unwrap();
    let mut command = remaster(folder.path());
    let given = ["enhance", "a.jpg", "-o", "b.png", "--background", "false", "--faces", "require"];
    let output = run(command.env("MODELS_DIR", &models).args(given));
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "b.png (400x400, 1 of 1 faces restored)\n");
}

#[test]
fn the_files_of_a_folder_of_downloads_are_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("a.jpg"), photo(40, 30)).unwrap();
    // Each of them would be the end of the command, or leave a trace.
    std::fs::write(at(".env"), "ORT_DYLIB_PATH=./library.so\nTILE=none\n").unwrap();
    for module in ["pip.py", "sitecustomize.py"] {
        std::fs::write(at(module), "open('RAN', 'w')\n").unwrap();
    }
    let mut command = remaster(folder.path());
    command.env("PULL_MODELS", "1").env("PIP_INDEX_URL", "http://127.0.0.1:9").env("MODELS_DIR", "models");
    let output = run(command.args(["enhance", "a.jpg", "-o", "b.png", "--faces", "off"]));
    assert!(stderr(&output).contains("onnxruntime could not be fetched"), "{}", stderr(&output));
    for trace in ["RAN", "models/RAN"] {
        assert!(!at(trace).exists(), "{trace}");
    }
    let output = run(remaster(folder.path()).args([
        "enhance",
        "a.jpg",
        "-o",
        "b.png",
        "--background",
        "false",
        "--faces",
        "off",
    ]));
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn a_runtime_that_was_changed_is_not_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let models = models_folder(folder.path(), &[SMALL_MODEL], false);
    let whole = remaster_testkit::runtime();
    let own = models.join(whole.parent().unwrap().file_name().unwrap());
    std::fs::remove_file(&own).unwrap();
    std::fs::create_dir(&own).unwrap();
    // A byte more does not keep a library from being loaded.
    let mut bytes = std::fs::read(&whole).unwrap();
    bytes.push(0);
    std::fs::write(own.join(whole.file_name().unwrap()), bytes).unwrap();
    std::fs::write(folder.path().join("a.jpg"), photo(40, 30)).unwrap();
    let mut command = remaster(folder.path());
    command.env("MODELS_DIR", &models).env("PULL_MODELS", "0");
    let output = run(command.args(["enhance", "a.jpg", "-o", "b.png", "--faces", "off"]));
    assert!(!output.status.success());
    assert!(stderr(&output).contains("is not the file that was fetched"), "{}", stderr(&output));
}
