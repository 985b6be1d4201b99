//! The error messages for bad settings, and the page that documents the settings.

use std::path::Path;

use crate::harness::{remaster, run, stderr};

#[test]
fn a_bad_value_is_reported_in_one_complete_line() {
    let folder = tempfile::tempdir().unwrap();
    let cases = [
        ("FREE_DAILY_LIMIT", "many", "a whole number from 1"),
        ("FREE_DAILY_LIMIT", "0", "a whole number from 1"),
        ("BIND", "localhost", "an address with a port"),
        ("DEVICE", "gpu", "cuda:0"),
        ("PRECISION", "int8", "fp32, fp16 or bf16"),
        ("TILE", "10", "from 192 to 4096"),
        ("LEASE", "1s", "at least 3s"),
        ("RESULT_TTL", "tomorrow", "a duration"),
        ("LOG_LEVEL", "loud", "error, warn, info"),
        ("LOG_FORMAT", "xml", "text or json"),
        ("USE_REALESRGAN", "maybe", "1 or 0"),
        ("PUBLIC_URL", "example.org", "http(s) URL"),
    ];
    for (name, value, takes) in cases {
        let output = run(remaster(folder.path()).env(name, value));
        assert_eq!(output.status.code(), Some(2), "{name}={value}");
        let line = stderr(&output);
        assert_eq!(line.lines().count(), 1, "{line}");
        for part in [name, value, takes, "docs/configuration.md"] {
            assert!(line.contains(part), "{part} in {line}");
        }
    }
}

/// Compose files pass on variables that nobody has set, as empty strings.
#[test]
fn an_empty_setting_counts_as_unset() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = remaster(folder.path());
    for name in ["PUBLIC_URL", "ADMIN_BIND", "STORAGE_PUBLIC_ENDPOINT", "REDIS_URL", "TRUSTED_PROXIES", "ASSET_MIRROR"]
    {
        command.env(name, "");
    }
    // The only error is that of the variable that is wrong.
    let output = run(command.env("STORAGE_URL", "ftp://host/x").env("BIND", "127.0.0.1:0"));
    assert!(stderr(&output).contains("STORAGE_URL"), "{}", stderr(&output));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_storage_that_is_not_supported_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(remaster(folder.path()).env("STORAGE_URL", "ftp://host/x").env("BIND", "127.0.0.1:0"));
    assert_eq!(output.status.code(), Some(1));
    let line = stderr(&output);
    assert!(line.lines().count() == 1 && line.contains("STORAGE_URL") && line.contains("file:///"), "{line}");
}

#[test]
fn a_wrong_option_is_a_usage_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(remaster(folder.path()).args(["enhance", "a.jpg", "-o", "b.png", "--scale", "5"]));
    assert_eq!(
        (output.status.code(), stderr(&output).as_str()),
        (Some(2), "error: --scale is \"5\"; it takes 1, 2, 3 or 4\n")
    );
    assert!(run(remaster(folder.path()).arg("--help")).status.success());
    assert_eq!(run(remaster(folder.path()).arg("--no-such-flag")).status.code(), Some(2));
}

/// `UPDATE=1 cargo test -p remaster-cli configuration` writes the page anew.
#[test]
fn the_configuration_page_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/configuration.md");
    let page = run(remaster(Path::new("/")).arg("config")).stdout;
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read(&path).unwrap_or_default();
    assert!(kept == page, "docs/configuration.md is not the output of `remaster config`; UPDATE=1 writes it anew");
}

#[test]
fn a_secret_is_read_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, "whsk_tooshort\n").unwrap();
    let with_file = |path: &Path| {
        let mut command = remaster(folder.path());
        command.env("WEBHOOK_SIGNING_KEY_FILE", path);
        command
    };
    // What the file says is refused as the setting would be, and not shown.
    let output = run(&mut with_file(&file));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("WEBHOOK_SIGNING_KEY"), "{}", stderr(&output));
    let output = run(&mut with_file(&folder.path().join("none")));
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("WEBHOOK_SIGNING_KEY_FILE=") && stderr(&output).contains("none"));
    let output = run(with_file(&file).env("WEBHOOK_SIGNING_KEY", "whsk_other"));
    assert!(stderr(&output).contains("WEBHOOK_SIGNING_KEY and WEBHOOK_SIGNING_KEY_FILE are both set"));
}
