//! PyTorch weights: small networks in the official layouts (`models/reference/pytorch.py`). What the graphs compute is
//! compared in the worker's tests.

use std::collections::HashMap;
use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use remaster_models::{
    ImportError, ImportOptions, Installed, Kind, Library, Manifest, PullOptions, WeightsError, import, pull,
};
use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::support::{Told, bare, library, names, sha256};

const FIXTURES: [(&str, Kind, &str, u32); 7] = [
    ("rrdbnet-x4.pth", Kind::Upscaler, "rrdbnet", 4),
    ("rrdbnet-x2.pth", Kind::Upscaler, "rrdbnet", 2),
    ("srvgg-x4.pth", Kind::Upscaler, "srvgg", 4),
    ("srvgg-x2.safetensors", Kind::Upscaler, "srvgg", 2),
    ("gfpgan.pth", Kind::FaceRestorer, "gfpgan", 1),
    ("retinaface.pth", Kind::Detector, "retinaface", 1),
    ("parsenet.pth", Kind::FaceParser, "parsenet", 1),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("reference/pytorch").join(name)
}

fn take(library: &Library, file: &Path) -> Result<Installed, ImportError> {
    import(file, "net", library, &ImportOptions::default())
}

#[test]
fn the_architecture_and_the_scale_are_read_from_the_tensors() {
    let (_dir, library) = library();
    for (name, kind, architecture, scale) in FIXTURES {
        let made = take(&library, &fixture(name)).unwrap();
        assert_eq!((made.kind, made.architecture.as_str(), made.scale), (kind, architecture, scale), "{name}");
        assert_eq!(made.source_sha256, sha256(&std::fs::read(fixture(name)).unwrap()));
        let bytes = std::fs::read(&made.path).unwrap();
        take(&library, &fixture(name)).unwrap();
        assert!(std::fs::read(&made.path).unwrap() == bytes, "{name}");
    }
    assert_eq!(names(library.dir()), ["net.onnx", "net.onnx.sha256"]);
}

#[test]
fn a_network_that_is_not_what_was_said_is_refused() {
    let (_dir, library) = library();
    let with = |scale, architecture: Option<&str>| {
        let options = ImportOptions { scale, architecture: architecture.map(str::to_owned) };
        import(&fixture("srvgg-x4.pth"), "net", &library, &options)
    };
    assert!(matches!(with(Some(2), None), Err(ImportError::ScaleDiffers { expected: 2, got: 4 })));
    assert!(matches!(with(None, Some("rrdbnet")), Err(ImportError::ArchitectureDiffers { got: "srvgg", .. })));
    let listed = import(&fixture("srvgg-x4.pth"), "realesrgan-x2plus", &library, &ImportOptions::default());
    assert!(matches!(listed, Err(ImportError::ScaleDiffers { expected: 2, got: 4 })), "{listed:?}");
    assert!(names(library.dir()).is_empty());
    with(Some(4), Some("srvgg")).unwrap();
}

/// Tensors as (shape, bfloat16 bytes).
type Tensors = HashMap<String, (Vec<usize>, Vec<u8>)>;

#[test]
fn a_missing_surplus_or_misshaped_tensor_is_named() {
    let (dir, library) = library();
    let path = dir.path().join("changed.safetensors");
    let bytes = std::fs::read(fixture("srvgg-x2.safetensors")).unwrap();
    let parsed = SafeTensors::deserialize(&bytes).unwrap();
    let tensors: Tensors = parsed
        .tensors()
        .into_iter()
        .map(|(name, view)| (name, (view.shape().to_vec(), view.data().to_vec())))
        .collect();
    let attempt = |change: &dyn Fn(&mut Tensors)| {
        let mut tensors = tensors.clone();
        change(&mut tensors);
        let views = tensors
            .iter()
            .map(|(name, (dims, raw))| (name.as_str(), TensorView::new(Dtype::BF16, dims.clone(), raw).unwrap()));
        std::fs::write(&path, safetensors::serialize(views, None).unwrap()).unwrap();
        match take(&library, &path) {
            Err(ImportError::Weights(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    for name in tensors.keys() {
        let missing = attempt(&|tensors| drop(tensors.remove(name)));
        let known = match &missing {
            WeightsError::Missing(missing) => missing == name,
            // Without the last convolution's weight its bias stands alone; without the first, nothing is known.
            WeightsError::Unknown(_) => name == "body.0.weight",
            _ => false,
        };
        assert!(known, "{name}: {missing}");
        let shape = attempt(&|tensors| {
            let tensor = tensors.get_mut(name).unwrap();
            tensor.0[0] *= 2;
            let again = tensor.1.clone();
            tensor.1.extend(again);
        });
        assert!(shape.to_string().contains("tensor \"body."), "{shape}");
    }
    let one = (vec![1], vec![0, 0]);
    for surplus in ["other", "body.0.other", "body.99999.weight", "body.x", "conv_last.weight"] {
        let error = attempt(&|tensors| drop(tensors.insert(surplus.into(), one.clone())));
        assert_eq!(error, WeightsError::Surplus(surplus.into()));
    }
    let error = attempt(&|tensors| drop(tensors.insert("conv_first.weight".into(), (vec![1; 4], vec![0, 0]))));
    assert!(matches!(error, WeightsError::Missing(name) if name.starts_with("body.0.rdb1")));
    assert!(names(library.dir()).is_empty());
}

#[test]
fn a_cut_file_leaves_nothing() {
    let (dir, library) = library();
    for (name, ..) in FIXTURES {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let cut = dir.path().join(name);
        for part in 0..16 {
            std::fs::write(&cut, &bytes[..bytes.len() * part / 16]).unwrap();
            assert!(matches!(take(&library, &cut), Err(ImportError::Weights(_))), "{name} at {part}/16");
        }
        std::fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
        assert!(matches!(take(&library, &cut), Err(ImportError::Weights(_))), "{name} but a byte");
    }
    assert!(names(library.dir()).is_empty());
}

/// A file that would run a command, as PyTorch writes it now and as before 1.6, and one that would inflate.
#[test]
fn a_hostile_file_leaves_nothing() {
    let (dir, library) = library();
    let told = dir.path().join("executed");
    let command = format!("touch {}", told.display());
    let length = (command.len() as u32).to_le_bytes();
    let attack = [b"\x80\x02cposix\nsystem\nX", &length[..], command.as_bytes(), b"\x85R."].concat();
    let zipped = |member: &str, bytes: &[u8], method| {
        let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file(member, SimpleFileOptions::default().compression_method(method)).unwrap();
        zip.write_all(bytes).unwrap();
        zip.finish().unwrap().into_inner()
    };
    let old = [b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.", &attack[..]].concat();
    let bomb = zipped("archive/data.pkl", &vec![0; 64 << 20], CompressionMethod::Deflated);
    assert!(bomb.len() < 1 << 20);
    let path = dir.path().join("hostile.pth");
    for (file, named) in [
        (zipped("archive/data.pkl", &attack, CompressionMethod::Stored), "posix.system"),
        (old, "posix.system"),
        (bomb, "is compressed"),
    ] {
        std::fs::write(&path, file).unwrap();
        let error = take(&library, &path).unwrap_err().to_string();
        assert!(error.contains(named) && error.lines().count() == 1, "{error}");
    }
    assert!(!told.exists());
    assert!(names(library.dir()).is_empty());
}

#[test]
fn a_pull_imports_a_single_pth() {
    let name = "rrdbnet-x2.pth";
    let bytes = std::fs::read(fixture(name)).unwrap();
    let entry = |id: &str, scale: u32| {
        format!(
            "[[asset]]\nid = \"{id}\"\nkind = \"upscaler\"\narchitecture = \"rrdbnet\"\nscale = {scale}\n\
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
