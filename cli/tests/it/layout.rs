//! Rules of the architecture that `deny.toml` cannot express.

use std::path::Path;

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
