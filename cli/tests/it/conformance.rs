//! The live service against its own OpenAPI document, with [schemathesis](https://schemathesis.readthedocs.io): no server
//! error, and no undocumented answer.

use std::path::Path;

use remaster_models::{ImportOptions, Library, import};
use remaster_testkit::{SMALL_MODEL, python};
use serde_json::Value;

use crate::harness::{Server, models_folder, remaster, run};

/// Installs small networks in the place of one and its weak denoiser.
fn install_denoiser(models: &Path) {
    let library = Library::open(models.to_owned()).unwrap();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/reference/pytorch");
    for (file, id) in [("srvgg-x4.pth", "realesr-general-x4v3"), ("srvgg-x4-weak.pth", "realesr-general-wdn-x4v3")] {
        import(&fixtures.join(file), id, &library, &ImportOptions::default()).unwrap();
    }
}

#[test]
fn what_it_answers_is_what_it_documents() {
    let folder = tempfile::tempdir().unwrap();
    // Every kind of model is installed, so that no request is refused for want of one.
    let models = models_folder(folder.path(), &[SMALL_MODEL, "yunet-2026may"], true);
    install_denoiser(&models);
    let settings =
        [("MODELS_DIR", models.to_str().unwrap()), ("MAX_UPLOAD_BYTES", "1000000"), ("WEBHOOK_ALLOW", "127.0.0.0/8")];
    let server = Server::start_with(folder.path(), &settings);
    let checks = [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_headers_conformance",
        "response_schema_conformance",
    ];
    let mut command = python();
    command.args(["-m", "schemathesis.cli", "run", &server.url("/openapi.json"), "--no-color"]);
    command.args(["--generation-deterministic", "--max-examples", "25", "--request-timeout", "90"]);
    let report = folder.path().join("junit.xml");
    command.args(["--report", "junit", "--report-junit-path"]).arg(&report);
    let output = command.args(["--checks", &checks.join(",")]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    // Every operation of the document was tested.
    let report = std::fs::read_to_string(report).unwrap();
    let document: Value = serde_json::from_slice(&run(remaster(folder.path()).arg("openapi")).stdout).unwrap();
    let mut operations = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let name = format!("name=\"{} {path}\"", method.to_uppercase());
            assert!(report.contains(&name), "{name} in {report}");
            operations += 1;
        }
    }
    assert!(operations >= 18, "{operations}");
}
