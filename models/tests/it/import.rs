//! Importing files: what is accepted, what is said of other files, and what the library shows afterwards.

use std::path::{Path, PathBuf};

use remaster_models::{
    ConvertError, ImportError, ImportOptions, Installed, Kind, Library, Manifest, PullOptions, Verdict, import,
    missing_defaults, pull, status,
};

use crate::network::{files, write};
use crate::support::{Told, bare, library, names, sha256};

fn take(library: &Library, file: &Path, id: &str) -> Result<Installed, ImportError> {
    import(file, id, library, &ImportOptions::default())
}

#[test]
fn an_ncnn_network_is_installed_listed_and_verified() {
    let (dir, library) = library();
    let param = write(dir.path());
    let made = take(&library, &param, "my-net").unwrap();
    assert_eq!((made.scale, made.kind, made.architecture.as_str()), (2, Kind::Upscaler, "custom"));
    let (text, bin) = files(4);
    assert_eq!(made.source_sha256, sha256(&[text.as_bytes(), &bin].concat()));
    let bytes = std::fs::read(&made.path).unwrap();
    assert_eq!(library.installed().unwrap().as_slice(), std::slice::from_ref(&made));

    // The other half names the same network, and importing again gives the same bytes.
    assert_eq!(take(&library, &dir.path().join("net.bin"), "my-net").unwrap(), made);
    assert_eq!(std::fs::read(&made.path).unwrap(), bytes);
    let sidecar = std::fs::read_to_string(library.dir().join("my-net.onnx.sha256")).unwrap();
    assert_eq!(sidecar, format!("{}  my-net.onnx\n", sha256(&bytes)));

    let manifest = Manifest::embedded().unwrap();
    let listed = status(&manifest, &library).unwrap();
    let own = listed.last().unwrap();
    assert!(own.id == "my-net" && own.installed && !own.listed && own.licence.is_none());
    assert!(listed.iter().any(|asset| asset.id == "realesrgan-x4plus" && !asset.installed));
    let missing = missing_defaults(&manifest, &library);
    let models: Vec<_> = missing.iter().filter(|a| a.kind == Kind::Upscaler).map(|a| a.id.as_str()).collect();
    assert_eq!(models, ["realesrgan-x4plus", "realesr-animevideov3", "realesrgan-x4plus-anime", "realesrgan-x2plus"]);

    assert_eq!(library.verify(&manifest).unwrap(), [("my-net".to_owned(), Verdict::Intact)]);
    std::fs::write(&made.path, [&bytes[..], &[0]].concat()).unwrap();
    assert!(matches!(&library.verify(&manifest).unwrap()[..], [(_, Verdict::Damaged { .. })]));
    std::fs::remove_file(library.dir().join("my-net.onnx.sha256")).unwrap();
    assert!(matches!(&library.verify(&manifest).unwrap()[..], [(_, Verdict::Unrecorded)]));
}

#[test]
fn an_installed_model_can_be_imported_under_another_id() {
    let (dir, library) = library();
    let made = take(&library, &write(dir.path()), "first").unwrap();
    let copy = dir.path().join("model.onnx");
    std::fs::copy(&made.path, &copy).unwrap();
    let second = take(&library, &copy, "second").unwrap();
    assert_eq!((second.scale, second.id.as_str()), (2, "second"));
    assert_eq!(second.source_sha256, sha256(&std::fs::read(&copy).unwrap()));
    assert_eq!(library.installed().unwrap().len(), 2);
    let other = ImportOptions { scale: Some(4), architecture: None };
    let error = import(&copy, "third", &library, &other).unwrap_err();
    assert!(matches!(error, ImportError::Convert(ConvertError::ScaleDiffers { expected: 4, got: 2 })), "{error}");
    let named = ImportOptions { scale: Some(2), architecture: Some("span".into()) };
    assert_eq!(import(&copy, "third", &library, &named).unwrap().architecture, "span");
}

#[test]
fn what_cannot_be_imported_is_said_in_one_line() {
    let (dir, library) = library();
    let param = write(dir.path());
    for (name, content) in [("w.pth", "x"), ("w.safetensors", "x"), ("w", "x"), ("w.onnx", "x"), ("alone.param", "x")] {
        std::fs::write(dir.path().join(name), content).unwrap();
        let error = take(&library, &dir.path().join(name), "w").unwrap_err().to_string();
        assert!(error.lines().count() == 1 && !error.is_empty(), "{error}");
    }
    let error = take(&library, &dir.path().join("w"), "w").unwrap_err().to_string();
    assert!([".pth", ".safetensors", ".onnx", ".param"].iter().all(|kind| error.contains(kind)), "{error}");
    assert!(matches!(take(&library, &param, "../w"), Err(ImportError::BadId(_))));
    assert!(matches!(take(&library, &param, "onnxruntime"), Err(ImportError::Reserved { .. })));
    let error = take(&library, &param, "realesrgan-x4plus").unwrap_err();
    assert!(matches!(error, ImportError::Convert(ConvertError::ScaleDiffers { expected: 4, got: 2 })), "{error}");
    assert!(library.installed().unwrap().is_empty());
}

/// A small network in the official layout of its authors.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/pytorch").join(name)
}

#[test]
fn the_manifest_tells_what_a_listed_id_has_to_be() {
    let (_dir, library) = library();
    let error = take(&library, &fixture("srvgg-x4.pth"), "realesrgan-x2plus").unwrap_err();
    assert!(matches!(error, ImportError::Convert(ConvertError::ScaleDiffers { expected: 2, got: 4 })), "{error}");
    let error = take(&library, &fixture("srvgg-x4.pth"), "realesrgan-x4plus").unwrap_err();
    assert!(matches!(error, ImportError::Convert(ConvertError::ArchitectureDiffers { .. })), "{error}");
    assert!(names(library.dir()).is_empty());
    let made = take(&library, &fixture("srvgg-x4.pth"), "realesr-general-x4v3").unwrap();
    assert_eq!((made.architecture.as_str(), made.scale), ("srvgg", 4));
    assert_eq!(made.source_sha256, sha256(&std::fs::read(fixture("srvgg-x4.pth")).unwrap()));
    assert_eq!(names(library.dir()), ["realesr-general-x4v3.onnx", "realesr-general-x4v3.onnx.sha256"]);
}

#[test]
fn a_pull_imports_a_single_pth() {
    let name = "rrdbnet-x2.pth";
    let bytes = std::fs::read(fixture(name)).unwrap();
    let entry = |id: &str, scale: u32| {
        format!(
            "[[asset]]\nid = \"{id}\"\nkind = \"upscaler\"\narchitecture = \"rrdbnet\"\nscale = {scale}\n\
             purpose = [\"photos\"]\ntile = {{ overlap = 144, align = 2 }}\n\
             licence = \"x\"\n[[asset.files]]\nname = \"{name}\"\nbytes = {}\nsha256 = \"{}\"\n\
             sources = [{{ url = \"http://127.0.0.1:1/{name}\" }}]\n",
            bytes.len(),
            sha256(&bytes)
        )
    };
    let manifest = Manifest::parse(&(entry("good", 2) + &entry("bad", 4))).unwrap();
    let (_dir, library) = library();
    let mirror = fixture("").to_str().unwrap().to_owned();
    let options = PullOptions { mirror: Some(mirror), ..bare() };
    let mut outcomes = pull(&manifest, &library, &["good", "bad"], &options, &Told::default()).unwrap();
    let bad = outcomes.remove(1).result.unwrap_err().to_string();
    assert!(bad.contains("the scale is 2, expected 4"), "{bad}");
    assert_eq!(outcomes.remove(0).result.unwrap().path(), library.model_path("good"));
    assert_eq!(library.get("good").unwrap().scale, 2);
    assert_eq!(names(library.dir()), ["good.onnx", "good.onnx.sha256"]);
}
