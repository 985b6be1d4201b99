//! Which build this is.

use std::sync::LazyLock;

/// The version, and the commit that it was built from where the build was told (`REMASTER_COMMIT`), such as `0.2.0 (1a2b3c4)`.
pub static VERSION: LazyLock<String> = LazyLock::new(|| {
    let version = env!("CARGO_PKG_VERSION");
    match option_env!("REMASTER_COMMIT").filter(|commit| !commit.is_empty()) {
        Some(commit) => format!("{version} ({commit})"),
        None => version.to_owned(),
    }
});
