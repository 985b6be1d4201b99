//! Importing files: what is accepted, what is said of the rest, and what the library shows afterwards.

use remaster_models::{ImportError, ImportOptions, Kind, Library, Manifest, Verdict, import, missing_defaults, status};

use crate::support::{library, sha256};

/// An ncnn network of one 1x1 convolution and one x2 enlargement; `middle` channels make it heavier.
pub fn identity(middle: usize) -> (String, Vec<u8>) {
    let param = format!(
        "7767517\n4 4\nInput in 0 1 data\nConvolution a 1 1 data x 0={middle} 1=1 5=0 6={}\n\
         Convolution b 1 1 x y 0=3 1=1 5=0 6={}\nInterp up 1 1 y output 0=1 1=2.0 2=2.0\n",
        3 * middle,
        3 * middle
    );
    let mut bin = Vec::new();
    for _ in 0..2 {
        bin.extend([0; 4]);
        (0..3 * middle).for_each(|at| bin.extend((at as f32).to_le_bytes()));
    }
    (param, bin)
}

fn write(dir: &std::path::Path, middle: usize) -> std::path::PathBuf {
    let (param, bin) = identity(middle);
    std::fs::write(dir.join("net.param"), param).unwrap();
    std::fs::write(dir.join("net.bin"), bin).unwrap();
    dir.join("net.param")
}

fn take(library: &Library, file: &std::path::Path, id: &str) -> Result<remaster_models::Installed, ImportError> {
    import(file, id, library, &ImportOptions::default())
}

#[test]
fn an_ncnn_network_is_installed_listed_and_verified() {
    let (dir, library) = library();
    let param = write(dir.path(), 4);
    let made = take(&library, &param, "my-net").unwrap();
    assert_eq!((made.scale, made.kind, made.architecture.as_str()), (2, Kind::Upscaler, "custom"));
    let (text, bin) = identity(4);
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
    assert_eq!(models, ["realesrgan-x4plus", "realesr-animevideov3", "realesrgan-x4plus-anime"]);

    assert_eq!(library.verify(&manifest).unwrap(), [("my-net".to_owned(), Verdict::Intact)]);
    std::fs::write(&made.path, [&bytes[..], &[0]].concat()).unwrap();
    assert!(matches!(&library.verify(&manifest).unwrap()[..], [(_, Verdict::Damaged { .. })]));
    std::fs::remove_file(library.dir().join("my-net.onnx.sha256")).unwrap();
    assert!(matches!(&library.verify(&manifest).unwrap()[..], [(_, Verdict::Unrecorded)]));
}

#[test]
fn an_onnx_file_is_taken_as_it_is() {
    let (dir, library) = library();
    let made = take(&library, &write(dir.path(), 4), "first").unwrap();
    let copy = dir.path().join("model.onnx");
    std::fs::copy(&made.path, &copy).unwrap();
    let second = take(&library, &copy, "second").unwrap();
    assert_eq!((second.scale, second.id.as_str()), (2, "second"));
    assert_eq!(second.source_sha256, sha256(&std::fs::read(&copy).unwrap()));
    assert_eq!(library.installed().unwrap().len(), 2);
    let (one, two) = (std::fs::read(&made.path).unwrap(), std::fs::read(&second.path).unwrap());
    assert!(two.starts_with(&one[..one.len() / 2]));
    let other = ImportOptions { scale: Some(4), architecture: None };
    let error = import(&copy, "third", &library, &other).unwrap_err();
    assert!(matches!(error, ImportError::ScaleDiffers { expected: 4, got: 2 }), "{error}");
    for end in 0..one.len() {
        std::fs::write(&copy, &one[..end]).unwrap();
        // A cut between two fields leaves a whole file with fewer fields.
        let _ = take(&library, &copy, "cut");
    }
}

#[test]
fn an_onnx_file_that_does_not_tell_its_scale_needs_one() {
    let (dir, library) = library();
    let made = take(&library, &write(dir.path(), 4), "first").unwrap();
    let bytes = std::fs::read(&made.path).unwrap();
    // The same model with its metadata keys renamed.
    let text: Vec<u8> = String::from_utf8_lossy(&bytes).replace("remaster.", "whatever.").into_bytes();
    let copy = dir.path().join("model.onnx");
    if text.len() == bytes.len() {
        std::fs::write(&copy, text).unwrap();
    } else {
        let mut bytes = bytes.clone();
        let at = |bytes: &[u8]| bytes.windows(9).position(|window| window == b"remaster.");
        while let Some(at) = at(&bytes) {
            bytes[at..at + 9].copy_from_slice(b"whatever.");
        }
        std::fs::write(&copy, bytes).unwrap();
    }
    assert!(matches!(take(&library, &copy, "second").unwrap_err(), ImportError::ScaleUnknown));
    let given = ImportOptions { scale: Some(2), architecture: Some("span".into()) };
    let second = import(&copy, "second", &library, &given).unwrap();
    assert_eq!((second.scale, second.architecture.as_str()), (2, "span"));
}

#[test]
fn what_cannot_be_imported_is_said_in_one_line() {
    let (dir, library) = library();
    let param = write(dir.path(), 4);
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
    assert!(matches!(error, ImportError::ScaleDiffers { expected: 4, got: 2 }), "{error}");
    assert!(library.installed().unwrap().is_empty());
}
