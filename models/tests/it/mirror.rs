//! The mirror, which is tried before the sources in the manifest.

use remaster_models::{PullError, PullOptions, pull};

use crate::server::{Behaviour, Server};
use crate::support::{Told, bare, content, library, manifest, names, pull_one};

fn with(mirror: impl Into<String>) -> PullOptions {
    PullOptions { mirror: Some(mirror.into()), ..bare() }
}

#[test]
fn a_directory_is_tried_first() {
    let server = Server::start(content(), Behaviour::default());
    let (dir, library) = library();
    let mirror = dir.path().join("mirror");
    std::fs::create_dir(&mirror).unwrap();
    std::fs::write(mirror.join("a.bin"), content()).unwrap();
    let manifest = manifest(&["a", "b"], &format!("{{ url = \"{}/f\" }}", server.url));
    let told = Told::default();
    let options = with(mirror.to_str().unwrap());
    for outcome in pull(&manifest, &library, &["a", "b"], &options, &told).unwrap() {
        outcome.result.unwrap();
    }
    // b is not in the mirror.
    assert_eq!(server.requests().len(), 1);
    assert_eq!(names(library.dir()), ["a.bin", "b.bin"]);
    assert!(told.lines("note").is_empty());
}

#[test]
fn an_address_is_a_prefix() {
    let server = Server::start(content(), Behaviour::default());
    let (_dir, library) = library();
    let manifest = manifest(&["a"], "{ url = \"http://127.0.0.1:1/f\" }");
    pull_one(&manifest, &library, &with(format!("{}/assets/", server.url)), &Told::default()).result.unwrap();
    assert_eq!(server.requests(), ["/assets/a.bin "]);
}

#[test]
fn a_bad_mirror_is_refused_and_the_sources_go_on() {
    let server = Server::start(content(), Behaviour::default());
    let (dir, library) = library();
    let mirror = dir.path().join("mirror");
    std::fs::create_dir(&mirror).unwrap();
    let mut bad = content();
    bad[0] ^= 1;
    std::fs::write(mirror.join("a.bin"), bad).unwrap();
    let manifest = manifest(&["a"], &format!("{{ url = \"{}/f\" }}", server.url));
    let told = Told::default();
    pull_one(&manifest, &library, &with(mirror.to_str().unwrap()), &told).result.unwrap();
    assert!(told.lines("note")[0].contains("wrong SHA-256"));
    assert_eq!(std::fs::read(library.dir().join("a.bin")).unwrap(), content());
}

#[test]
fn a_missing_mirror_is_said_once() {
    let (_dir, library) = library();
    let manifest = manifest(&["a", "b"], "{ pip = \"p\", version = \"1\", member = \"m\" }");
    let told = Told::default();
    for outcome in pull(&manifest, &library, &["a", "b"], &with("/nowhere/at/all"), &told).unwrap() {
        let text = outcome.result.unwrap_err().to_string();
        assert!(text.contains("mirror /nowhere/at/all: unreachable") && text.contains("no pip found"), "{text}");
    }
    assert_eq!(told.lines("note").len(), 2, "{:?}", told.lines("note"));
}

#[test]
fn an_unknown_id_pulls_nothing() {
    let (_dir, library) = library();
    let manifest = manifest(&["a"], "{ url = \"http://127.0.0.1:1/f\" }");
    let error = pull(&manifest, &library, &["a", "z"], &bare(), &Told::default()).unwrap_err();
    assert!(matches!(&error, PullError::Unknown { id, .. } if id == "z"), "{error}");
    assert!(names(library.dir()).is_empty());
}
