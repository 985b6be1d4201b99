//! [ONNX Runtime](https://onnxruntime.ai) on the CPU, over CUDA and over TensorRT.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

pub use ort::environment::Environment;
use ort::ep::cuda::ConvAlgorithmSearch;
use ort::ep::{self, ArenaExtendStrategy, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{RunOptions, Session};
use ort::value::Tensor as OrtTensor;
use remaster_models::small_network;

use crate::error::{Cause, EngineError};
use crate::graph::{Float, Graph, Reader, Runtime, Sizes, Source, Stop};
use crate::port::Tensor;
use crate::slot::Slot;

/// The side in pixels of a device's first run.
const FIRST_SIDE: usize = 64;

/// ONNX Runtime on the device of one slot.
pub struct OnnxRuntime {
    environment: Environment,
    slot: Slot,
    /// The folder in which TensorRT keeps what it compiled.
    cache: PathBuf,
}

/// The environment of this process. There can be no other one, not even after its end.
static ENVIRONMENT: Mutex<Option<(PathBuf, Environment)>> = Mutex::new(None);

/// Loads the library, unless one has been loaded: a process has one environment of one library, whatever the number of its devices.
///
/// # Errors
/// The file is no library of a version that this program can use, or the environment cannot be made.
pub fn environment(library: &Path) -> Result<Environment, Cause> {
    let mut environment = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((loaded, made)) = &*environment {
        if loaded != library {
            tracing::info!(loaded = %loaded.display(), "ONNX Runtime is loaded already, from there");
        }
        return Ok(made.clone());
    }
    let made = ort::environment::init_from(library)?.build()?;
    *environment = Some((library.into(), made.clone()));
    Ok(made)
}

/// Loads libraries that the runtime for GPUs needs, so that it finds them wherever they are.
///
/// # Errors
/// One of them cannot be loaded.
pub fn preload(libraries: &[PathBuf]) -> Result<(), Cause> {
    libraries.iter().try_for_each(|library| {
        // What is missing is told by the source of the error.
        let why = |error: &dyn Error| error.source().map_or_else(|| error.to_string(), ToString::to_string);
        ort::util::preload_dylib(library).map_err(|error| format!("{}: {}", library.display(), why(&error)).into())
    })
}

/// Whether the loaded library was built for CUDA. That does not mean that there is a GPU.
pub fn has_cuda() -> bool {
    ep::CUDA::is_available().unwrap_or(false)
}

impl OnnxRuntime {
    /// The runtime for `slot`. TensorRT keeps what it compiled below `folder`.
    pub fn new(environment: Environment, slot: Slot, folder: &Path) -> Self {
        Self { environment, slot, cache: folder.join("tensorrt") }
    }

    /// Runs a small network, which shows whether the device can be used.
    ///
    /// # Errors
    /// It cannot, for the reason that the runtime gives.
    pub fn try_device(&mut self) -> Result<(), String> {
        let mut run = || -> Result<(), Cause> {
            let mut network = self.load(Source::Memory(small_network()), Float::Float32, Sizes::Any)?;
            network.run(Tensor::zeros((1, 3, FIRST_SIDE, FIRST_SIDE)), &Stop::default())?;
            Ok(())
        };
        run().map_err(|cause| reason(&cause.to_string()))
    }

    /// The execution providers in order of preference. One that was asked for and cannot start is an error: networks
    /// never run on the CPU instead without anybody noticing.
    fn providers(&self) -> Vec<ExecutionProviderDispatch> {
        let cuda = |number: u32| {
            let cuda = ep::CUDA::default()
                .with_device_id(number as i32)
                // The exhaustive search measures all algorithms for each new size, and tiles differ in size.
                .with_conv_algorithm_search(ConvAlgorithmSearch::Heuristic)
                // Otherwise the memory that is held is up to twice as much as was ever needed.
                .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested);
            cuda.build().error_on_failure()
        };
        match self.slot {
            Slot::Cpu { .. } | Slot::OpenVino { .. } => vec![ep::CPU::default().build()],
            Slot::Cuda(number) => vec![cuda(number)],
            Slot::TensorRt(number) => {
                // Compiling a network takes minutes, and is done for each size.
                let tensorrt = ep::TensorRT::default()
                    .with_device_id(number as i32)
                    .with_engine_cache(true)
                    .with_engine_cache_path(self.cache.display())
                    .with_timing_cache(true)
                    .with_timing_cache_path(self.cache.display());
                vec![tensorrt.build().error_on_failure(), cuda(number)]
            }
        }
    }

    fn builder(&self) -> Result<SessionBuilder, ort::Error> {
        let mut builder = Session::builder(&self.environment)?
            // Below the highest level, ONNX Runtime does not use its blocked convolution kernels; the CPU is 40 %
            // slower.
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_execution_providers(self.providers())?
            // A memory pattern is kept per input size and rarely used again, because tiles differ in size.
            .with_memory_pattern(false)?;
        if let Some(threads) = self.slot.threads() {
            builder = builder.with_intra_threads(threads)?;
        }
        Ok(builder)
    }
}

impl Runtime for OnnxRuntime {
    /// The type is that of the graph's weights.
    fn load(&mut self, source: Source<'_>, _float: Float, _sizes: Sizes) -> Result<Box<dyn Graph>, Cause> {
        let mut builder = self.builder()?;
        let session = match source {
            Source::File(path) => builder.commit_from_file(path)?,
            Source::Memory(bytes) => builder.commit_from_memory(bytes)?,
        };
        Ok(Box::new(session))
    }
}

impl Graph for Session {
    fn run_and_read(&mut self, input: Tensor, stop: &Stop, read: &mut Reader<'_>) -> Result<(), EngineError> {
        let options = Arc::new(RunOptions::new().map_err(run_error)?);
        let terminated = Arc::clone(&options);
        // Terminating a run that has ended has no effect.
        stop.on_stop(move || drop(terminated.terminate()));
        let input = OrtTensor::from_array(input).map_err(run_error)?;
        let outputs = self.run_with_options(ort::inputs![input], &options).map_err(run_error)?;
        let mut outputs = outputs.iter();
        outputs.try_for_each(|(name, value)| read(name, value.try_extract_array::<f32>().map_err(run_error)?))
    }
}

/// What matters in a message of the runtime, which begins with where in its source the error is, and may end with its surroundings.
fn reason(message: &str) -> String {
    let line = message.lines().next().unwrap_or_default();
    let from = ["CUDA failure", "Failed to load library"].iter().find_map(|sign| line.find(sign)).unwrap_or(0);
    let reason = line[from..].split(" ; ").next().unwrap_or_default();
    reason.trim().to_owned()
}

fn run_error(error: ort::Error) -> EngineError {
    const EXHAUSTED: [&str; 5] =
        ["out of memory", "failed to allocate", "bad_alloc", "bad allocation", "cudaerrormemoryallocation"];
    EngineError::of_run(error.into(), &EXHAUSTED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_to_its_reason() {
        let cuda = "/src/provider.cc:60 static A B(const C&) [ONNXRuntimeError] : 1 : FAIL : utils.h:187 Parse Failed to parse: \
            CUDA failure 35: the driver is too old ; GPU=-1 ; hostname=vm ; \n: /src/provider.cc:60";
        assert_eq!(reason(cuda), "CUDA failure 35: the driver is too old");
        let tensorrt = "/src/bridge.cc:1962 Provider& Get() : 1 : FAIL : Failed to load library libp.so with error: libn.so.10: missing\n: /src";
        assert_eq!(reason(tensorrt), "Failed to load library libp.so with error: libn.so.10: missing");
        assert_eq!(reason("out of memory"), "out of memory");
    }
}
