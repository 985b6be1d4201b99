//! The one real engine of this process and its models.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::sync::{Arc, OnceLock};

use remaster_engine::{Device, EngineSettings, OnnxEngine, Precision, SharedEngine};
use remaster_models::Library;

use crate::fixtures::reference;

/// The engine on the CPU, in float32.
pub fn engine() -> SharedEngine {
    static ENGINE: OnceLock<SharedEngine> = OnceLock::new();
    Arc::clone(ENGINE.get_or_init(|| Arc::new(OnnxEngine::start(library(), &settings(Device::Cpu)).unwrap())))
}

/// The engine over OpenVINO, in float32, on the platforms that have it.
pub fn openvino() -> Option<SharedEngine> {
    static ENGINE: OnceLock<Option<SharedEngine>> = OnceLock::new();
    let start = || -> SharedEngine { Arc::new(OnnxEngine::start(library(), &settings(Device::OpenVino)).unwrap()) };
    ENGINE.get_or_init(|| remaster_testkit::openvino().map(|_| start())).clone()
}

/// Both engines, the one first that `DEVICE=auto` takes.
pub fn engines() -> Vec<SharedEngine> {
    openvino().into_iter().chain([engine()]).collect()
}

/// The settings of an engine on that device, in float32.
pub fn settings(device: Device) -> EngineSettings {
    EngineSettings {
        runtime: remaster_testkit::runtime(),
        cuda: Vec::new(),
        openvino: remaster_testkit::openvino(),
        device,
        precision: Precision::Single,
        threads: None,
    }
}

/// The engine's models: links to the real ones, small networks in the place of a face restorer and a face parser
/// (`models/reference/faces.py`), and whatever tests import. It is a library of its own, because tests of other crates
/// count the models in the shared one.
pub fn library() -> Library {
    let library = Library::open(remaster_testkit::folder().join("worker-tests")).unwrap();
    for model in remaster_testkit::library().installed().unwrap() {
        match symlink(model.path.canonicalize().unwrap(), library.model_path(&model.id)) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => panic!("{error}"),
            _ => {}
        }
    }
    for id in ["gfpgan-1.4", "parsenet"] {
        // Replaced atomically, because other test processes may be reading the file.
        let temporary = tempfile::NamedTempFile::new_in(library.dir()).unwrap();
        std::fs::copy(reference(&format!("faces/{id}.onnx")), temporary.path()).unwrap();
        temporary.persist(library.model_path(id)).unwrap();
    }
    library
}
