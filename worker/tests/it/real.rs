//! The one real engine of this process, and pictures to and from it.

use std::io::{Cursor, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use image::{DynamicImage, ImageFormat};
use remaster_engine::{Device, EngineSettings, OnnxEngine, Precision, SharedEngine};
use remaster_models::Library;
use remaster_pictures::header::inspect;
use remaster_shared::job::{EnhanceParams, FaceMode, MetadataPolicy, ModelId, Scale};
use remaster_worker::enhance::{EnhanceError, Enhancer};
use remaster_worker::upscale::TileSettings;

pub fn engine() -> SharedEngine {
    static ENGINE: OnceLock<SharedEngine> = OnceLock::new();
    let start = || -> SharedEngine {
        let settings = EngineSettings {
            runtime: remaster_testkit::runtime(),
            device: Device::Cpu,
            precision: Precision::Auto,
            threads: None,
        };
        Arc::new(OnnxEngine::start(library(), &settings).unwrap())
    };
    Arc::clone(ENGINE.get_or_init(start))
}

/// The engine's models: links to the real ones, networks that stand for those of faces (`models/reference/faces.py`),
/// and whatever tests import. Apart, since others count the real ones.
pub fn library() -> Library {
    let library = Library::open(remaster_testkit::folder().join("worker-tests")).unwrap();
    for model in remaster_testkit::library().installed().unwrap() {
        match symlink(model.path.canonicalize().unwrap(), library.model_path(&model.id)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{error}"),
            _ => {}
        }
    }
    for id in ["gfpgan-1.4", "parsenet"] {
        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../models/reference/faces/{id}.onnx"));
        // Beside its place first: other tests may be reading.
        let beside = tempfile::NamedTempFile::new_in(library.dir()).unwrap();
        std::fs::copy(fixture, beside.path()).unwrap();
        beside.persist(library.model_path(id)).unwrap();
    }
    library
}

pub fn params(model: &str, scale: Scale) -> EnhanceParams {
    EnhanceParams {
        scale,
        model: ModelId::parse(model).unwrap(),
        faces: FaceMode::Off,
        face_strength: 1.0,
        background: true,
        metadata: MetadataPolicy::Strip,
    }
}

pub fn encoded(image: &DynamicImage, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    image.write_to(&mut out, format).unwrap();
    out.into_inner()
}

/// The PNG's bytes.
pub async fn enhanced(
    engine: &SharedEngine,
    tiles: TileSettings,
    input: Vec<u8>,
    params: &EnhanceParams,
) -> Result<Vec<u8>, EnhanceError> {
    let info = inspect(Cursor::new(&input), input.len() as u64, None).unwrap();
    let enhancer = Enhancer { engine: engine.clone(), tiles, spool: std::env::temp_dir() };
    let made = enhancer.enhance(input.into(), &info, params, &|_| ()).await?;
    let png = std::fs::read(made.png.file.path()).unwrap();
    assert_eq!(png.len() as u64, made.png.bytes);
    Ok(png)
}

/// The largest difference of any sample, of two pictures of one size.
pub fn difference(a: &DynamicImage, b: &DynamicImage) -> u8 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (a.to_rgb8(), b.to_rgb8());
    a.as_raw().iter().zip(b.as_raw()).map(|(a, b)| a.abs_diff(*b)).max().unwrap()
}
