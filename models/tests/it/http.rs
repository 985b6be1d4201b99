//! Pulling over HTTP: resumes, wrong bytes, errors of the server.

use std::time::{Duration, Instant};

use remaster_models::{AssetError, FetchError, Pulled, SourceError};

use crate::server::{Behaviour, Server};
use crate::support::{Told, bare, content, library, manifest, names, pull_one};

fn from(server: &Server) -> String {
    format!("{{ url = \"{}/f\" }}", server.url)
}

fn reason(error: &AssetError, at: usize) -> &SourceError {
    match error {
        AssetError::Fetch(FetchError::NoSource { tried, .. }) => &tried[at].reason,
        other => panic!("{other}"),
    }
}

#[test]
fn a_file_arrives_whole_with_progress() {
    let server = Server::start(content(), Behaviour::default());
    let (_dir, library) = library();
    let (manifest, told) = (manifest(&["a"], &from(&server)), Told::default());
    let path = library.dir().join("a.bin");
    assert_eq!(pull_one(&manifest, &library, &bare(), &told).result.unwrap(), Pulled::Installed(path.clone()));
    assert_eq!(std::fs::read(&path).unwrap(), content());
    assert_eq!(names(library.dir()), ["a.bin"]);
    assert_eq!(told.lines("started"), [format!("started a 300000 {}/f", server.url)]);
    assert_eq!(told.lines("advanced").last().unwrap(), "advanced a 300000");
    assert_eq!(told.lines("finished"), ["finished a"]);
    assert_eq!(pull_one(&manifest, &library, &bare(), &told).result.unwrap(), Pulled::AlreadyThere(path));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_dropped_transfer_is_resumed_by_range() {
    let server = Server::start(content(), Behaviour { drop_after: Some((100_000, 2)), ..Behaviour::default() });
    let (_dir, library) = library();
    pull_one(&manifest(&["a"], &from(&server)), &library, &bare(), &Told::default()).result.unwrap();
    assert_eq!(std::fs::read(library.dir().join("a.bin")).unwrap(), content());
    assert_eq!(server.requests(), ["/f ", "/f 100000", "/f 200000"]);
}

#[test]
fn a_server_without_ranges_starts_again() {
    let server =
        Server::start(content(), Behaviour { drop_after: Some((100_000, 1)), ranges: false, ..Behaviour::default() });
    let (_dir, library) = library();
    pull_one(&manifest(&["a"], &from(&server)), &library, &bare(), &Told::default()).result.unwrap();
    assert_eq!(std::fs::read(library.dir().join("a.bin")).unwrap(), content());
}

#[test]
fn an_interrupted_pull_leaves_a_part_that_the_next_pull_resumes() {
    // The answers bring no bytes, so the pull gives up and keeps the part.
    let broken = Server::start(content(), Behaviour { drop_after: Some((0, 99)), ..Behaviour::default() });
    let (_dir, library) = library();
    let name = format!(".a.bin.{}.part", &manifest(&["a"], "{ url = \"x\" }").assets[0].files[0].sha256[..12]);
    std::fs::write(library.dir().join(&name), &content()[..5000]).unwrap();
    let error = pull_one(&manifest(&["a"], &from(&broken)), &library, &bare(), &Told::default()).result.unwrap_err();
    assert!(matches!(reason(&error, 0), SourceError::Interrupted(_)), "{error}");
    assert_eq!(names(library.dir()), [name]);
    let server = Server::start(content(), Behaviour::default());
    pull_one(&manifest(&["a"], &from(&server)), &library, &bare(), &Told::default()).result.unwrap();
    assert_eq!(server.requests(), ["/f 5000"]);
    assert_eq!(names(library.dir()), ["a.bin"]);
}

#[test]
fn a_part_of_other_bytes_costs_one_more_transfer() {
    let server = Server::start(content(), Behaviour::default());
    let (_dir, library) = library();
    let manifest = manifest(&["a"], &from(&server));
    let name = format!(".a.bin.{}.part", &manifest.assets[0].files[0].sha256[..12]);
    std::fs::write(library.dir().join(name), [7; 5000]).unwrap();
    pull_one(&manifest, &library, &bare(), &Told::default()).result.unwrap();
    assert_eq!(server.requests(), ["/f 5000", "/f "]);
}

#[test]
fn a_wrong_hash_is_refused_named_and_the_next_source_tried() {
    let mut other = content();
    other[9] ^= 1;
    let bad = Server::start(other, Behaviour::default());
    let good = Server::start(content(), Behaviour::default());
    let (_dir, library) = library();
    let told = Told::default();
    let outcome = pull_one(&manifest(&["a"], &from(&bad)), &library, &bare(), &told);
    let error = outcome.result.unwrap_err();
    let text = error.to_string();
    assert!(matches!(reason(&error, 0), SourceError::WrongHash { .. }));
    assert!(text.starts_with("a: cannot fetch a.bin: ") && text.contains(&bad.url), "{text}");
    assert!(
        text.contains("got ") && text.contains(&manifest(&["a"], "{ url = \"x\" }").assets[0].files[0].sha256[..]),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);
    assert!(names(library.dir()).is_empty());

    let both = format!("{}, {}", from(&bad), from(&good));
    pull_one(&manifest(&["a"], &both), &library, &bare(), &told).result.unwrap();
    assert!(told.lines("note").iter().any(|line| line.contains("a.bin refused from")));
}

#[test]
fn a_wrong_size_is_refused_before_the_transfer_ends() {
    let server = Server::start(vec![0; 2_000_000], Behaviour::default());
    let (_dir, library) = library();
    let error = pull_one(&manifest(&["a"], &from(&server)), &library, &bare(), &Told::default()).result.unwrap_err();
    assert_eq!(reason(&error, 0), &SourceError::WrongSize { got: 2_000_000, expected: 300_000 });
    assert!(names(library.dir()).is_empty());
}

#[test]
fn http_errors_are_told() {
    for (status, expected) in [(404, SourceError::Absent), (503, SourceError::Status(503))] {
        let server = Server::start(Vec::new(), Behaviour { status: Some(status), ..Behaviour::default() });
        let (_dir, library) = library();
        let error =
            pull_one(&manifest(&["a"], &from(&server)), &library, &bare(), &Told::default()).result.unwrap_err();
        assert_eq!(reason(&error, 0), &expected);
    }
}

#[test]
fn an_unreachable_server_costs_seconds_and_is_reported_once() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let (_dir, library) = library();
    let manifest = manifest(&["a", "b"], &format!("{{ url = \"{closed}/f\" }}"));
    let (told, before) = (Told::default(), Instant::now());
    let outcomes = remaster_models::pull(&manifest, &library, &["a", "b"], &bare(), &told).unwrap();
    assert!(before.elapsed() < Duration::from_secs(10));
    for outcome in outcomes {
        let error = outcome.result.unwrap_err();
        assert!(matches!(reason(&error, 0), SourceError::Unreachable(_)), "{error}");
    }
    assert_eq!(told.lines("note").len(), 1, "{:?}", told.lines("note"));
    assert_eq!(told.lines("started").len(), 1);
    assert!(names(library.dir()).is_empty());
}
