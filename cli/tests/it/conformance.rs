//! The live service against its own OpenAPI document, by schemathesis: no server error, nothing undocumented.

use remaster_testkit::{SMALL_MODEL, python};

use crate::harness::{Server, models_folder};

#[test]
fn what_it_answers_is_what_it_documents() {
    let folder = tempfile::tempdir().unwrap();
    // With everything there, so that nothing has a reason to be unavailable.
    let models = models_folder(folder.path(), &[SMALL_MODEL, "yunet-2026may"], true);
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
    let output = command.args(["--checks", &checks.join(",")]).current_dir(folder.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    println!("{said}");
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let summary = said.split("SUMMARY").nth(1).unwrap();
    let operations = summary.split("Selected: ").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    assert!(operations.parse::<u32>().unwrap() >= 18, "{summary}");
}
