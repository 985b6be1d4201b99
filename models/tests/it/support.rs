//! A manifest of small files, a progress that remembers what it was told, and the names in a directory.

use std::path::Path;
use std::sync::Mutex;

use remaster_models::{Library, Manifest, Progress, PullOptions, PullOutcome, pull};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

/// The bytes of the file.
pub fn content() -> Vec<u8> {
    (0..300_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

pub fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// A manifest with an asset for each of `ids`. Its file is `ID.bin`, holds [`content`], and has these `sources`.
pub fn manifest(ids: &[&str], sources: &str) -> Manifest {
    let (bytes, sha) = (content().len(), sha256(&content()));
    let text: String = ids
        .iter()
        .map(|id| {
            format!(
                "[[asset]]\nid = \"{id}\"\nkind = \"photo\"\nlicence = \"x\"\n[[asset.files]]\nname = \"{id}.bin\"\n\
                 bytes = {bytes}\nsha256 = \"{sha}\"\nsources = [{sources}]\n"
            )
        })
        .collect();
    Manifest::parse(&text).unwrap()
}

pub fn library() -> (TempDir, Library) {
    let dir = tempfile::tempdir().unwrap();
    let library = Library::open(dir.path().join("models")).unwrap();
    (dir, library)
}

/// Neither a mirror nor pip.
pub fn bare() -> PullOptions {
    PullOptions { mirror: None, pip: Vec::new() }
}

/// Pulls the first asset of the manifest.
pub fn pull_one(manifest: &Manifest, library: &Library, options: &PullOptions, told: &Told) -> PullOutcome {
    let id = manifest.assets[0].id.clone();
    pull(manifest, library, &[&id], options, told).unwrap().remove(0)
}

/// The names of everything in the models directory but the lock, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = entries.filter(|name| name != ".lock").collect();
    names.sort();
    names
}

/// A progress that remembers what it was told.
#[derive(Default)]
pub struct Told(Mutex<Vec<String>>);

impl Told {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }

    pub fn lines(&self, start: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|line| line.starts_with(start)).cloned().collect()
    }
}

impl Progress for Told {
    fn started(&self, asset_id: &str, total_bytes: u64, source: &str) {
        self.add(format!("started {asset_id} {total_bytes} {source}"));
    }

    fn advanced(&self, asset_id: &str, bytes_done: u64) {
        self.add(format!("advanced {asset_id} {bytes_done}"));
    }

    fn finished(&self, asset_id: &str) {
        self.add(format!("finished {asset_id}"));
    }

    fn note(&self, line: &str) {
        self.add(format!("note {line}"));
    }
}
