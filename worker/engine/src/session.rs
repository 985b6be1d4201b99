//! Sessions of one device: models loaded on first use, the least recently used one dropped past a bound.

use std::{collections::HashSet, path::Path};

use ort::{
    environment::Environment,
    ep::{self, ExecutionProvider, ExecutionProviderDispatch},
    session::{
        NoSelectedOutputs, RunOptions, Session,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
    value::Tensor as OrtTensor,
};
use remaster_models::Installed;
use remaster_shared::job::ModelId;
use remaster_weights::half_precision;

use super::{Device, EngineError, Kind, Output, Precision, Tensor};

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

/// A model ready to run.
struct Loaded {
    model: ModelId,
    half: bool,
    session: Session,
}

pub struct Sessions {
    environment: Environment,
    slot: Slot,
    precision: Precision,
    /// Most recently used last.
    loaded: Vec<Loaded>,
    /// Models that are not run in float16, though others are.
    single: HashSet<ModelId>,
}

/// Where a model is, and what it is.
pub type Find<'a> = &'a dyn Fn() -> Result<Installed, EngineError>;

impl Sessions {
    pub fn new(environment: Environment, slot: Slot, precision: Precision) -> Self {
        Self { environment, slot, precision, loaded: Vec::new(), single: HashSet::new() }
    }

    /// Runs `model`, loading it from where `find` says when it is not. What overflows float16 is run again in float32.
    pub fn run(
        &mut self,
        model: &ModelId,
        find: Find<'_>,
        input: Tensor,
        options: &RunOptions<NoSelectedOutputs>,
    ) -> Result<Vec<Output>, EngineError> {
        if self.is_half(model, find)? {
            let outputs = run(self.session(model, true, find)?, input.clone(), options)?;
            if outputs.iter().all(|output| output.values.iter().all(|value| value.is_finite())) {
                return Ok(outputs);
            }
            tracing::warn!(%model, "a run overflowed float16; it is done again in float32");
        }
        run(self.session(model, false, find)?, input, options)
    }

    /// Drops the model's sessions; it is loaded anew when asked for.
    pub fn forget(&mut self, model: &ModelId) {
        self.loaded.retain(|loaded| loaded.model != *model);
        self.single.remove(model);
    }

    fn is_half(&mut self, model: &ModelId, find: Find<'_>) -> Result<bool, EngineError> {
        if self.precision != Precision::Half || self.single.contains(model) {
            return Ok(false);
        }
        if !self.loaded.iter().any(|loaded| loaded.half && loaded.model == *model) && find()?.kind == Kind::Detector {
            self.single.insert(model.clone());
            return Ok(false);
        }
        Ok(true)
    }

    fn session(&mut self, model: &ModelId, half: bool, find: Find<'_>) -> Result<&mut Session, EngineError> {
        let entry = match self.loaded.iter().position(|loaded| loaded.model == *model && loaded.half == half) {
            Some(index) => self.loaded.remove(index),
            None => {
                if self.loaded.len() == LOADED {
                    self.loaded.remove(0);
                }
                let session = self.load(&find()?.path, half);
                let failed = |reason| EngineError::Load(model.clone(), reason);
                Loaded { model: model.clone(), half, session: session.map_err(failed)? }
            }
        };
        self.loaded.push(entry);
        let loaded = self.loaded.last_mut().ok_or(EngineError::Stopped)?;
        Ok(&mut loaded.session)
    }

    fn load(&self, path: &Path, half: bool) -> Result<Session, String> {
        let text = |error: ort::Error| error.to_string();
        let mut builder = self.builder().map_err(text)?;
        if !half {
            return builder.commit_from_file(path).map_err(text);
        }
        let single = std::fs::read(path).map_err(|error| error.to_string())?;
        let model = half_precision(&single).map_err(|error| format!("in float16: {error}; PRECISION=fp32 takes it"))?;
        builder.commit_from_memory(&model).map_err(text)
    }

    fn builder(&self) -> Result<SessionBuilder, ort::Error> {
        let mut builder = Session::builder(&self.environment)?
            // Below the highest level the CPU loses its blocked convolution kernels and 40 % of its speed.
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_execution_providers(self.slot.providers())?
            // Tiles differ in size; a memory pattern for each would only be kept, never used again.
            .with_memory_pattern(false)?;
        if let Slot::Cpu { threads } = self.slot {
            builder = builder.with_intra_threads(threads)?;
        }
        Ok(builder)
    }
}

fn run(
    session: &mut Session,
    input: Tensor,
    options: &RunOptions<NoSelectedOutputs>,
) -> Result<Vec<Output>, EngineError> {
    let input = OrtTensor::from_array(input).map_err(run_error)?;
    let outputs = session.run_with_options(ort::inputs![input], options).map_err(run_error)?;
    let own = |(name, value): (&str, ort::value::ValueRef<'_>)| {
        let values = value.try_extract_array::<f32>().map_err(run_error)?.to_owned();
        Ok(Output { name: name.to_owned(), values })
    };
    outputs.iter().map(own).collect()
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
