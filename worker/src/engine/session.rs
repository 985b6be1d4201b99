//! Sessions of one device: models loaded on first use, the least recently used one dropped past a bound.

use std::path::PathBuf;

use ort::{
    environment::Environment,
    ep::{self, ExecutionProvider, ExecutionProviderDispatch},
    session::{NoSelectedOutputs, RunOptions, Session, builder::GraphOptimizationLevel},
    value::Tensor as OrtTensor,
};
use remaster_shared::job::ModelId;

use super::{Device, EngineError, Output, Tensor};

/// Models kept loaded: what one job may need, which is a detector, an upscaler, a face restorer and a face parser.
/// Weights are tens of megabytes, a face restorer's hundreds; what a session holds besides is its largest run's
/// activations.
const LOADED: usize = 4;

/// One execution device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    Cpu { threads: usize },
    Cuda(u32),
    TensorRt(u32),
}

impl Slot {
    /// The slots of `device`; `threads` is for the CPU.
    pub fn of(device: &Device, threads: usize) -> Vec<Slot> {
        match device {
            Device::Cpu => vec![Slot::Cpu { threads }],
            Device::Cuda(numbers) => numbers.iter().map(|number| Slot::Cuda(*number)).collect(),
            Device::TensorRt(numbers) => numbers.iter().map(|number| Slot::TensorRt(*number)).collect(),
            Device::Auto if ep::CUDA::is_available().unwrap_or(false) => vec![Slot::Cuda(0)],
            Device::Auto => vec![Slot::Cpu { threads }],
        }
    }

    /// In order of preference; a provider that was asked for and cannot start is an error, never a silent CPU run.
    fn providers(self) -> Vec<ExecutionProviderDispatch> {
        let cuda = |number: u32| ep::CUDA::default().with_device_id(number as i32).build().error_on_failure();
        match self {
            Slot::Cpu { .. } => vec![ep::CPU::default().build()],
            Slot::Cuda(number) => vec![cuda(number)],
            Slot::TensorRt(number) => {
                let tensorrt = ep::TensorRT::default().with_device_id(number as i32).with_timing_cache(true);
                vec![tensorrt.build().error_on_failure(), cuda(number)]
            }
        }
    }
}

pub struct Sessions {
    environment: Environment,
    slot: Slot,
    /// Most recently used last.
    loaded: Vec<(ModelId, Session)>,
}

impl Sessions {
    pub fn new(environment: Environment, slot: Slot) -> Self {
        Self { environment, slot, loaded: Vec::new() }
    }

    /// Runs `model`, loading it from `path` when it is not.
    pub fn run(
        &mut self,
        model: &ModelId,
        path: impl FnOnce() -> Result<PathBuf, EngineError>,
        input: Tensor,
        options: &RunOptions<NoSelectedOutputs>,
    ) -> Result<Vec<Output>, EngineError> {
        let session = self.session(model, path)?;
        let input = OrtTensor::from_array(input).map_err(run_error)?;
        let outputs = session.run_with_options(ort::inputs![input], options).map_err(run_error)?;
        let own = |(name, value): (&str, ort::value::ValueRef<'_>)| {
            let values = value.try_extract_array::<f32>().map_err(run_error)?.to_owned();
            Ok(Output { name: name.to_owned(), values })
        };
        outputs.iter().map(own).collect()
    }

    /// Drops the model's session; it is loaded anew when asked for.
    pub fn forget(&mut self, model: &ModelId) {
        self.loaded.retain(|(id, _)| id != model);
    }

    fn session(
        &mut self,
        model: &ModelId,
        path: impl FnOnce() -> Result<PathBuf, EngineError>,
    ) -> Result<&mut Session, EngineError> {
        let entry = match self.loaded.iter().position(|(id, _)| id == model) {
            Some(index) => self.loaded.remove(index),
            None => {
                if self.loaded.len() == LOADED {
                    self.loaded.remove(0);
                }
                let session = self.load(&path()?);
                (model.clone(), session.map_err(|error| EngineError::Load(model.clone(), error.to_string()))?)
            }
        };
        self.loaded.push(entry);
        let (_, session) = self.loaded.last_mut().ok_or(EngineError::Stopped)?;
        Ok(session)
    }

    fn load(&self, path: &std::path::Path) -> Result<Session, ort::Error> {
        let mut builder = Session::builder(&self.environment)?
            // Below the highest level the CPU loses its blocked convolution kernels and 40 % of its speed.
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_execution_providers(self.slot.providers())?
            // Tiles differ in size; a memory pattern for each would only be kept, never used again.
            .with_memory_pattern(false)?;
        if let Slot::Cpu { threads } = self.slot {
            builder = builder.with_intra_threads(threads)?;
        }
        builder.commit_from_file(path)
    }
}

fn run_error(error: ort::Error) -> EngineError {
    let text = error.to_string();
    // The runtime has no code of its own for this; its allocators say it in words.
    let lower = text.to_lowercase();
    let memory = ["out of memory", "failed to allocate", "bad_alloc", "bad allocation", "cudaerrormemoryallocation"];
    if memory.iter().any(|words| lower.contains(words)) {
        EngineError::OutOfMemory(text)
    } else {
        EngineError::Run(text)
    }
}
