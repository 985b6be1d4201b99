//! The weights that are part of the binary: installed with no network at all.

use std::path::Path;

use remaster_models::{Kind, Manifest, PullOptions, Pulled, Source, Verdict, install_bundled};

use crate::support::{Told, bare, library, names, pull_one, sha256};

const DETECTOR: &str = "yunet-2026may";

/// The manifest with the bundled assets only.
fn bundled() -> Manifest {
    let mut manifest = Manifest::embedded().unwrap();
    let is_bundled = |source: &Source| matches!(source, Source::Bundled { .. });
    manifest.assets.retain(|asset| asset.files.iter().all(|file| file.sources.iter().any(is_bundled)));
    manifest
}

#[test]
fn the_detector_is_installed_into_an_empty_folder_and_intact() {
    let (_dir, library) = library();
    let manifest = Manifest::embedded().unwrap();
    install_bundled(&manifest, &library).unwrap();
    assert_eq!(names(library.dir()), ["yunet-2026may.onnx", "yunet-2026may.onnx.sha256"]);
    assert_eq!(library.verify(&manifest).unwrap(), [(DETECTOR.to_owned(), Verdict::Intact)]);
    let detector = library.get(DETECTOR).unwrap();
    assert_eq!((detector.kind, detector.architecture.as_str()), (Kind::Detector, "yunet"));
    assert_eq!(detector.source_sha256, manifest.find(DETECTOR).unwrap().files[0].sha256);

    // What is installed is left as it is.
    let changed = || std::fs::metadata(&detector.path).unwrap().modified().unwrap();
    let before = changed();
    install_bundled(&manifest, &library).unwrap();
    assert_eq!(changed(), before);
}

#[test]
fn the_binary_is_the_only_source_and_goes_before_a_mirror() {
    let (dir, library) = library();
    let options = PullOptions { mirror: Some(dir.path().join("nowhere").to_str().unwrap().to_owned()), ..bare() };
    let told = Told::default();
    let pulled = pull_one(&bundled(), &library, &options, &told).result.unwrap();
    assert_eq!(pulled, Pulled::Installed(library.model_path(DETECTOR)));
    assert_eq!(told.lines("started"), [format!("started {DETECTOR} 229738 this binary")]);
    assert!(told.lines("note").is_empty());
}

/// The file in the repository is the one that the manifest pins, and has its licence beside it.
#[test]
fn every_bundled_file_has_its_licence_beside_it() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundled");
    let manifest = bundled();
    assert_eq!(manifest.assets.iter().map(|asset| asset.id.as_str()).collect::<Vec<_>>(), [DETECTOR]);
    let file = &manifest.assets[0].files[0];
    assert_eq!(sha256(&std::fs::read(folder.join(&file.name)).unwrap()), file.sha256);
    let licence = std::fs::read_to_string(folder.join("LICENSE-yunet")).unwrap();
    assert!(licence.contains(&manifest.assets[0].licence) && licence.contains("Shiqi Yu"), "{licence}");
}
