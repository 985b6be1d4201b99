//! The networks of one device. Models are loaded on first use; past a bound the least recently used one is dropped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use remaster_models::{Installed, Kind, Library, Manifest};
use remaster_shared::job::{Denoise, ModelId};
use remaster_weights::{Split, half_precision, mix, split};

use crate::agreement::{ENOUGH, agreement, sample};
use crate::error::{Cause, EngineError};
use crate::graph::{Float, Runtime, Sizes, Source, Stop};
use crate::network::Network;
use crate::port::{Output, Tensor};
use crate::precision::Precision;
use crate::slot::Slot;

/// Networks kept per device: a job may need a detector, an upscaler, a face restorer and a face parser. Weights take
/// tens of megabytes, those of a face restorer hundreds; besides them a network holds the activations of its largest
/// run.
const MAX_LOADED: usize = 4;

/// The scale of a network in two parts that works on single pixels.
const LARGEST_SCALE: usize = 4;

/// The type in which each model that has run is run first. All devices share it, so that a model is measured once.
pub type Floats = Arc<Mutex<HashMap<ModelId, Float>>>;

/// A loaded model.
struct Loaded {
    model: ModelId,
    float: Float,
    network: Network,
}

/// The networks of one device.
pub struct Sessions {
    runtime: Box<dyn Runtime>,
    slot: Slot,
    precision: Precision,
    /// Where models are found, and how nearly they agree with themselves in bfloat16.
    library: Library,
    /// In order of use, the most recently used last.
    loaded: Vec<Loaded>,
    floats: Floats,
}

impl Sessions {
    /// No network yet; each is loaded when its model is first run.
    pub fn new(runtime: Box<dyn Runtime>, slot: Slot, precision: Precision, library: Library, floats: Floats) -> Self {
        Self { runtime, slot, precision, library, loaded: Vec::new(), floats }
    }

    /// Runs `model` and returns all its outputs. A model that is not loaded is loaded. A run in float16 whose output is
    /// not finite is repeated in float32.
    ///
    /// # Errors
    /// A model that is not installed or cannot be loaded, a run that fails.
    pub fn run(&mut self, model: &ModelId, input: Tensor, stop: &Stop) -> Result<Vec<Output>, EngineError> {
        let float = self.float(model, stop)?;
        if float == Float::Float16 {
            let outputs = self.network(model, float)?.run(input.clone(), stop)?;
            if outputs.iter().all(|output| output.values.iter().all(|value| value.is_finite())) {
                return Ok(outputs);
            }
            tracing::warn!(%model, "a run overflowed float16; it is done again in float32");
            return self.network(model, Float::Float32)?.run(input, stop);
        }
        self.network(model, float)?.run(input, stop)
    }

    /// Drops the networks of `model`; its next run loads it anew.
    pub fn unload(&mut self, model: &ModelId) {
        self.loaded.retain(|loaded| loaded.model != *model);
        self.floats.lock().unwrap_or_else(PoisonError::into_inner).remove(model);
    }

    /// The type in which `model` is run first.
    fn float(&mut self, model: &ModelId, stop: &Stop) -> Result<Float, EngineError> {
        if let Some(float) = self.floats.lock().unwrap_or_else(PoisonError::into_inner).get(model) {
            return Ok(*float);
        }
        let found = self.find(model)?;
        let (network, _) = model.mixture();
        let float = match (self.precision, found.kind) {
            // A mixture is computed as the network that it is of.
            _ if network != *model => self.float(&network, stop)?,
            // Sixteen bits move their boxes.
            (_, Kind::Detector) | (Precision::Single, _) => Float::Float32,
            (Precision::Half, _) => Float::Float16,
            (Precision::BFloat16, _) => Float::BFloat16,
            (Precision::Auto, Kind::Upscaler | Kind::FaceRestorer) => self.tried(model, &found, stop)?,
            (Precision::Auto, _) => Float::Float32,
        };
        self.floats.lock().unwrap_or_else(PoisonError::into_inner).insert(model.clone(), float);
        Ok(float)
    }

    /// The device's type of 16 bits where the network computes nearly the same in it, as measured once per installed model.
    fn tried(&mut self, model: &ModelId, found: &Installed, stop: &Stop) -> Result<Float, EngineError> {
        let short = self.slot.short_float();
        let known = self.library.agreement(found, short.name());
        let agreement = match known {
            Some(agreement) => agreement,
            None => self.measure(model, found.kind, short, stop)?,
        };
        if known.is_none() {
            // A folder that cannot be written costs a measurement at each start.
            let _ = self.library.record_agreement(found, short.name(), agreement);
        }
        let float = if agreement >= ENOUGH { short } else { Float::Float32 };
        tracing::info!(%model, dB = agreement, float = float.name(), "how nearly {} agrees with fp32", short.name());
        self.loaded.retain(|loaded| loaded.model != *model || loaded.float == float);
        Ok(float)
    }

    /// The agreement in dB; NaN for a network that has none, or that cannot be had in that type.
    fn measure(&mut self, model: &ModelId, kind: Kind, short: Float, stop: &Stop) -> Result<f64, EngineError> {
        let Some((photo, range)) = sample(kind) else { return Ok(f64::NAN) };
        let single = self.network(model, Float::Float32)?.run(photo.clone(), stop)?;
        match self.network(model, short).and_then(|network| network.run(photo, stop)) {
            Ok(other) => Ok(agreement(&single, &other, range)),
            // A runtime that refuses the network in that type may do so only when it runs.
            Err(EngineError::Load(..) | EngineError::Run(..)) if !stop.is_stopped() => Ok(f64::NAN),
            Err(error) => Err(error),
        }
    }

    /// The network of this id. Of a mixture it is the one that removes more noise.
    fn find(&self, model: &ModelId) -> Result<Installed, EngineError> {
        let (network, _) = model.mixture();
        self.library.get(network.as_str()).ok_or(EngineError::NotInstalled(network))
    }

    /// The mixture of the network and its weak denoiser; `None` for the id of a network itself. That two networks cannot be mixed is no fault
    /// of this worker, which does other jobs.
    fn mixed(&self, model: &ModelId, found: &Installed) -> Result<Option<Vec<u8>>, EngineError> {
        let (network, denoise) = model.mixture();
        if denoise == Denoise::FULL {
            return Ok(None);
        }
        let not_mixed = |why: &str| EngineError::NotMixed(network.clone(), why.into());
        let weak = Manifest::embedded().ok().and_then(|known| known.find(network.as_str())?.weak_denoiser.clone());
        let weak =
            ModelId::parse(&weak.unwrap_or_default()).map_err(|_| not_mixed("there is no weak denoiser of it"))?;
        let weak = self.find(&weak)?;
        let read = |found: &Installed| std::fs::read(&found.path).map_err(|error| not_mixed(&error.to_string()));
        let mixed = mix(&read(found)?, &read(&weak)?, denoise.share());
        mixed.map(Some).ok_or_else(|| not_mixed("its weak denoiser has another shape"))
    }

    fn network(&mut self, model: &ModelId, float: Float) -> Result<&mut Network, EngineError> {
        let position = self.loaded.iter().position(|loaded| loaded.model == *model && loaded.float == float);
        let entry = match position {
            Some(index) => self.loaded.remove(index),
            None => {
                let found = self.find(model)?;
                let mixed = self.mixed(model, &found)?;
                if mixed.is_some() {
                    // There is no end of mixtures, and other networks are to stay.
                    self.loaded.retain(|loaded| loaded.model.mixture().1 == Denoise::FULL);
                }
                if self.loaded.len() == MAX_LOADED {
                    self.loaded.remove(0);
                }
                let loaded = self.load(&found, mixed, float);
                let network = loaded.map_err(|cause| EngineError::Load(model.clone(), cause))?;
                Loaded { model: model.clone(), float, network }
            }
        };
        self.loaded.push(entry);
        let last = self.loaded.len() - 1;
        Ok(&mut self.loaded[last].network)
    }

    /// Loads a network from its file, or from the bytes of the mixture that is to be it.
    fn load(&mut self, found: &Installed, mixed: Option<Vec<u8>>, float: Float) -> Result<Network, Cause> {
        let bytes = || mixed.clone().map_or_else(|| std::fs::read(&found.path), Ok);
        if float == Float::Float16 {
            let model =
                half_precision(&bytes()?).map_err(|error| format!("in float16: {error}; PRECISION=fp32 takes it"))?;
            return Ok(Network::Whole(self.runtime.load(Source::Memory(&model), float, Sizes::Any)?));
        }
        // On a GPU the features would have to leave it and come back.
        let on_cpu = self.slot.threads().is_some();
        let parts = if on_cpu && found.kind == Kind::Upscaler { split(&bytes()?) } else { None };
        if let Some(Split { trunk, tail, halo }) = parts {
            let mut graph = |part: &[u8], sizes| self.runtime.load(Source::Memory(part), float, sizes);
            let repeated = Sizes::Repeated(large(float, found.scale as usize));
            let (trunk, tail) = (graph(&trunk, repeated)?, graph(&tail, Sizes::Any)?);
            return Ok(Network::Split { trunk, tail, halo, scale: found.scale as usize });
        }
        let source = mixed.as_deref().map_or(Source::File(&found.path), Source::Memory);
        Ok(Network::Whole(self.runtime.load(source, float, Sizes::Any)?))
    }
}

/// The pixels from which on a tile is large: its run takes many times as long as preparing a trunk for its size, which takes a second.
fn large(float: Float, scale: usize) -> usize {
    let pixels = match float {
        Float::Float32 => 1 << 17,
        // With AMX it is several times as fast, and it takes half the memory.
        Float::BFloat16 | Float::Float16 => 1 << 19,
    };
    // A trunk for a smaller scale works on blocks of pixels.
    pixels * (LARGEST_SCALE / scale).max(1).pow(2)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use ndarray::Array4;
    use remaster_models::{ImportOptions, import};

    use super::*;
    use crate::graph::{Graph, Reader};

    /// Returns its input, off by `error` in 16 bits, and notes in which types graphs were loaded.
    struct Echo {
        error: f32,
        loads: Arc<Mutex<Vec<Float>>>,
    }

    struct Echoing(f32);

    impl Runtime for Echo {
        fn load(&mut self, _: Source<'_>, float: Float, _: Sizes) -> Result<Box<dyn Graph>, Cause> {
            self.loads.lock().unwrap().push(float);
            Ok(Box::new(Echoing(if float == Float::Float32 { 0.0 } else { self.error })))
        }
    }

    impl Graph for Echoing {
        fn run_and_read(&mut self, input: Tensor, _: &Stop, read: &mut Reader<'_>) -> Result<(), EngineError> {
            read("output", (input + self.0).into_dyn().view())
        }
    }

    /// A folder with one face restorer and its hash.
    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let library = Library::open(folder.path().to_path_buf()).unwrap();
        let restorer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/reference/pytorch/gfpgan.pth");
        import(&restorer, "gfpgan-1.4", &library, &ImportOptions::default()).unwrap();
        folder
    }

    /// Runs the restorer twice on a device where 16 bits are off by `error`. Returns the output and in which types graphs were loaded.
    fn run_twice(folder: &Path, slot: Slot, error: f32) -> (f32, Vec<Float>) {
        let loads = Arc::new(Mutex::default());
        let runtime = Box::new(Echo { error, loads: Arc::clone(&loads) });
        let library = Library::open(folder.to_path_buf()).unwrap();
        let mut sessions = Sessions::new(runtime, slot, Precision::Auto, library, Floats::default());
        let model = ModelId::parse("gfpgan-1.4").unwrap();
        let mut run = || sessions.run(&model, Array4::zeros((1, 3, 2, 2)), &Stop::default()).unwrap();
        run();
        let output = run();
        let loads = loads.lock().unwrap().clone();
        (output[0].values[[0, 0, 0, 0]], loads)
    }

    #[test]
    fn a_network_is_measured_once_and_run_in_16_bits_where_it_agrees() {
        for (slot, short) in [(Slot::OpenVino { threads: 1 }, Float::BFloat16), (Slot::Cuda(0), Float::Float16)] {
            let folder = folder();
            let run = |error| run_twice(folder.path(), slot, error);
            assert_eq!(run(0.001), (0.001, vec![Float::Float32, short]));
            assert_eq!(run(0.001), (0.001, vec![short]));
            // The record is of another model now.
            std::fs::write(folder.path().join("gfpgan-1.4.onnx.sha256"), "1".repeat(64)).unwrap();
            assert_eq!(run(0.1), (0.0, vec![Float::Float32, short]));
            assert_eq!(run(0.1), (0.0, vec![Float::Float32]));
        }
    }
}
