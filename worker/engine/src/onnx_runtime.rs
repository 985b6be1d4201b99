//! [ONNX Runtime](https://onnxruntime.ai) on the CPU, over CUDA and over TensorRT.

use std::path::Path;
use std::sync::Arc;

use ort::environment::Environment;
use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use ort::session::{RunOptions, Session};
use ort::value::{Tensor as OrtTensor, ValueRef};

use crate::error::{Cause, EngineError};
use crate::graph::{Float, Graph, Runtime, Source, Stop};
use crate::port::{Output, Tensor};
use crate::slot::Slot;

/// ONNX Runtime on the device of one slot.
pub struct OnnxRuntime {
    environment: Environment,
    slot: Slot,
}

/// Loads the library. A process has one environment, whatever the number of its devices.
///
/// # Errors
/// The file is no library of a version that this program can use, or the environment cannot be made.
pub fn environment(library: &Path) -> Result<Environment, Cause> {
    Ok(ort::environment::init_from(library)?.build()?)
}

/// Whether the loaded library can drive a GPU over CUDA.
pub fn has_cuda() -> bool {
    ep::CUDA::is_available().unwrap_or(false)
}

impl OnnxRuntime {
    /// The runtime for `slot`.
    pub fn new(environment: Environment, slot: Slot) -> Self {
        Self { environment, slot }
    }

    /// The execution providers in order of preference. One that was asked for and cannot start is an error: networks
    /// never run on the CPU instead without anybody noticing.
    fn providers(&self) -> Vec<ExecutionProviderDispatch> {
        let cuda = |number: u32| ep::CUDA::default().with_device_id(number as i32).build().error_on_failure();
        match self.slot {
            Slot::Cpu { .. } | Slot::OpenVino { .. } => vec![ep::CPU::default().build()],
            Slot::Cuda(number) => vec![cuda(number)],
            Slot::TensorRt(number) => {
                let tensorrt = ep::TensorRT::default().with_device_id(number as i32).with_timing_cache(true);
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
    fn load(&mut self, source: Source<'_>, _float: Float) -> Result<Box<dyn Graph>, Cause> {
        let mut builder = self.builder()?;
        let session = match source {
            Source::File(path) => builder.commit_from_file(path)?,
            Source::Memory(bytes) => builder.commit_from_memory(bytes)?,
        };
        Ok(Box::new(session))
    }
}

impl Graph for Session {
    fn run(&mut self, input: Tensor, stop: &Stop) -> Result<Vec<Output>, EngineError> {
        let options = Arc::new(RunOptions::new().map_err(run_error)?);
        let terminated = Arc::clone(&options);
        // Terminating a run that has ended has no effect.
        stop.on_stop(move || drop(terminated.terminate()));
        let input = OrtTensor::from_array(input).map_err(run_error)?;
        let outputs = self.run_with_options(ort::inputs![input], &options).map_err(run_error)?;
        let owned = |(name, value): (&str, ValueRef<'_>)| {
            let values = value.try_extract_array::<f32>().map_err(run_error)?.to_owned();
            Ok(Output { name: name.to_owned(), values })
        };
        outputs.iter().map(owned).collect()
    }
}

fn run_error(error: ort::Error) -> EngineError {
    const EXHAUSTED: [&str; 5] =
        ["out of memory", "failed to allocate", "bad_alloc", "bad allocation", "cudaerrormemoryallocation"];
    EngineError::of_run(error.into(), &EXHAUSTED)
}
