//! Rules of the architecture that `deny.toml` cannot express, and names that pages give.

use std::path::Path;

/// The sources of every crate, tests included.
fn sources() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let entries = walkdir::WalkDir::new(root).into_iter().filter_entry(|entry| entry.file_name() != "target");
    let sources = entries.map(Result::unwrap).filter(|entry| entry.path().extension().is_some_and(|end| end == "rs"));
    sources.map(|entry| std::fs::read_to_string(entry.path()).unwrap()).collect()
}

#[test]
fn every_test_that_the_page_on_reliability_names_exists() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reliability.md")).unwrap();
    let quoted = page.split('`').skip(1).step_by(2);
    let is_name =
        |text: &&str| text.matches('_').count() > 2 && text.chars().all(|c| c.is_ascii_lowercase() || c == '_');
    let (names, sources) = (quoted.filter(is_name).collect::<Vec<_>>(), sources());
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let function = format!("fn {name}(");
        assert!(sources.iter().any(|source| source.contains(&function)), "{name}");
    }
}

#[test]
fn the_image_is_built_from_every_crate() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| std::fs::read_to_string(root.join(name)).unwrap();
    let manifest: toml::Table = read("Cargo.toml").parse().unwrap();
    let kept: Vec<_> =
        read(".dockerignore").lines().filter_map(|line| Some(line.strip_prefix('!')?.to_owned())).collect();
    for member in manifest["workspace"]["members"].as_array().unwrap() {
        let folder = Path::new(member.as_str().unwrap());
        assert!(folder.ancestors().any(|folder| kept.iter().any(|kept| Path::new(kept) == folder)), "{member}");
    }
}

#[test]
fn no_file_is_a_place_for_leftovers() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut seen = 0;
    let sources = walkdir::WalkDir::new(root).into_iter().filter_entry(|entry| entry.file_name() != "target");
    for entry in sources.map(Result::unwrap) {
        let name = entry.file_name().to_string_lossy();
        seen += usize::from(name.ends_with(".rs"));
        let leftovers = ["utils.rs", "util.rs", "common.rs", "helpers.rs", "misc.rs"];
        assert!(!leftovers.contains(&name.as_ref()), "{}", entry.path().display());
    }
    assert!(seen > 200, "the sources are found");
}
