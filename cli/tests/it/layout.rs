//! The architecture's invariants that the crate graph cannot hold: who names what, inside a crate.

use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The Rust sources under `folder`, by their path from the root.
fn sources(folder: &str) -> Vec<(String, String)> {
    let files = walkdir::WalkDir::new(root().join(folder)).into_iter().map(Result::unwrap);
    let rust = files.filter(|entry| entry.path().extension().is_some_and(|ending| ending == "rs"));
    let read = rust.map(|entry| {
        let path = entry.path().strip_prefix(root()).unwrap().to_string_lossy().into_owned();
        (path, std::fs::read_to_string(entry.path()).unwrap())
    });
    let sources: Vec<_> = read.collect();
    assert!(!sources.is_empty(), "{folder}");
    sources
}

/// Files under `folder`, but for those in `except`, that use the crate `name`.
fn naming(folder: &str, name: &str, except: &str) -> Vec<String> {
    let uses = [format!("use {name}::"), format!(" {name}::"), format!("({name}::"), format!("<{name}::")];
    let sources = sources(folder).into_iter().filter(|(path, _)| except.is_empty() || !path.starts_with(except));
    sources.filter(|(_, text)| uses.iter().any(|used| text.contains(used))).map(|(path, _)| path).collect()
}

#[test]
fn only_the_engine_names_the_inference_runtime() {
    assert_eq!(naming("worker/src", "ort", "worker/src/engine/"), Vec::<String>::new());
    assert_ne!(naming("worker/src/engine", "ort", ""), Vec::<String>::new());
}

#[test]
fn shared_is_a_leaf_and_only_a_store_names_its_database() {
    for name in ["axum", "ort", "remaster_api", "remaster_worker", "remaster_models"] {
        assert_eq!(naming("shared/src", name, ""), Vec::<String>::new(), "{name}");
    }
    assert_eq!(naming("shared/src", "rusqlite", "shared/src/store/sqlite/"), Vec::<String>::new());
    assert_ne!(naming("shared/src/store/sqlite", "rusqlite", ""), Vec::<String>::new());
    assert_eq!(naming("shared/src", "fred", "shared/src/store/redis/"), Vec::<String>::new());
    assert_ne!(naming("shared/src/store/redis", "fred", ""), Vec::<String>::new());
}

#[test]
fn no_file_is_a_place_for_leftovers() {
    for folder in ["api/src", "cli/src", "models/src", "shared/src", "testkit/src", "worker/src", "xtask/src"] {
        for (path, _) in sources(folder) {
            let name = path.rsplit('/').next().unwrap();
            assert!(!["utils.rs", "util.rs", "common.rs", "helpers.rs", "misc.rs"].contains(&name), "{path}");
        }
    }
}
