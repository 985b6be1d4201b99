//! The sessions of one device. Models are loaded on first use; past a bound the least recently used session is dropped.

use std::{collections::HashSet, io};

use ort::{
    environment::Environment,
    ep::{self, ExecutionProvider, ExecutionProviderDispatch},
    session::{
        NoSelectedOutputs, RunOptions, Session,
        builder::{GraphOptimizationLevel, SessionBuilder},
    },
};
use remaster_models::{Installed, Kind};
use remaster_shared::job::ModelId;
use remaster_weights::{HalfError, Split, half_precision, split};

use crate::device::Device;
use crate::error::EngineError;
use crate::network::Network;
use crate::port::{Output, Tensor};
use crate::precision::Precision;

/// Sessions kept per device: a job may need a detector, an upscaler, a face restorer and a face parser. Weights take
/// tens of megabytes, those of a face restorer hundreds; besides them a session holds the activations of its largest
/// run.
const MAX_SESSIONS: usize = 4;

/// One device, with the ONNX Runtime execution provider that drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The CPU with this many threads per session.
    Cpu { threads: usize },
    /// The GPU of that number through CUDA.
    Cuda(u32),
    /// The GPU of that number through TensorRT, and through CUDA for what TensorRT cannot run.
    TensorRt(u32),
}

impl Slot {
    /// The slots that `device` stands for on this machine; `threads` applies to the CPU.
    pub fn of(device: &Device, threads: usize) -> Vec<Slot> {
        match device {
            Device::Cpu => vec![Slot::Cpu { threads }],
            Device::Cuda(numbers) => numbers.iter().map(|number| Slot::Cuda(*number)).collect(),
            Device::TensorRt(numbers) => numbers.iter().map(|number| Slot::TensorRt(*number)).collect(),
            Device::Auto if ep::CUDA::is_available().unwrap_or(false) => vec![Slot::Cuda(0)],
            Device::Auto => vec![Slot::Cpu { threads }],
        }
    }

    /// The execution providers in order of preference. One that was asked for and cannot start is an error: networks
    /// never run on the CPU instead without anybody noticing.
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

/// A loaded model.
struct Loaded {
    model: ModelId,
    weights: Weights,
    network: Network,
}

/// The floating-point type of a session's weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Weights {
    Float16,
    Float32,
}

/// The sessions of one device.
pub struct Sessions {
    environment: Environment,
    slot: Slot,
    precision: Precision,
    /// In order of use, the most recently used last.
    loaded: Vec<Loaded>,
    /// Detectors, which run in float32 even where the setting is float16.
    float32_only: HashSet<ModelId>,
}

/// Looks the model up in the library.
pub type Lookup<'a> = &'a dyn Fn() -> Result<Installed, EngineError>;

/// Why a session could not be made.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    #[error(transparent)]
    Read(#[from] io::Error),
    #[error("in float16: {0}; PRECISION=fp32 takes it")]
    Convert(#[from] HalfError),
    #[error(transparent)]
    Session(#[from] ort::Error),
}

impl Sessions {
    /// No session yet; each is made when its model is first run.
    pub fn new(environment: Environment, slot: Slot, precision: Precision) -> Self {
        Self { environment, slot, precision, loaded: Vec::new(), float32_only: HashSet::new() }
    }

    /// Runs `model` and returns all its outputs. A model that is not loaded is loaded from where `find` says. A run in
    /// float16 whose output is not finite is repeated in float32.
    ///
    /// # Errors
    /// Those of `find`, a model that cannot be loaded, a run that fails.
    pub fn run(
        &mut self,
        model: &ModelId,
        find: Lookup<'_>,
        input: Tensor,
        options: &RunOptions<NoSelectedOutputs>,
    ) -> Result<Vec<Output>, EngineError> {
        if self.weights(model, find)? == Weights::Float16 {
            let outputs = self.network(model, Weights::Float16, find)?.run(input.clone(), options)?;
            if outputs.iter().all(|output| output.values.iter().all(|value| value.is_finite())) {
                return Ok(outputs);
            }
            tracing::warn!(%model, "a run overflowed float16; it is done again in float32");
        }
        self.network(model, Weights::Float32, find)?.run(input, options)
    }

    /// Drops the sessions of `model`; its next run loads it anew.
    pub fn unload(&mut self, model: &ModelId) {
        self.loaded.retain(|loaded| loaded.model != *model);
        self.float32_only.remove(model);
    }

    /// The type in which `model` is run first.
    fn weights(&mut self, model: &ModelId, find: Lookup<'_>) -> Result<Weights, EngineError> {
        if self.precision != Precision::Half || self.float32_only.contains(model) {
            return Ok(Weights::Float32);
        }
        // A model with a float16 session is no detector; it need not be looked up again.
        if self.position(model, Weights::Float16).is_none() && find()?.kind == Kind::Detector {
            self.float32_only.insert(model.clone());
            return Ok(Weights::Float32);
        }
        Ok(Weights::Float16)
    }

    fn position(&self, model: &ModelId, weights: Weights) -> Option<usize> {
        self.loaded.iter().position(|loaded| loaded.model == *model && loaded.weights == weights)
    }

    fn network(&mut self, model: &ModelId, weights: Weights, find: Lookup<'_>) -> Result<&mut Network, EngineError> {
        let entry = match self.position(model, weights) {
            Some(index) => self.loaded.remove(index),
            None => {
                if self.loaded.len() == MAX_SESSIONS {
                    self.loaded.remove(0);
                }
                let network = self.load(&find()?, weights);
                let failed = |error: LoadError| EngineError::Load(model.clone(), error.into());
                Loaded { model: model.clone(), weights, network: network.map_err(failed)? }
            }
        };
        self.loaded.push(entry);
        let last = self.loaded.len() - 1;
        Ok(&mut self.loaded[last].network)
    }

    fn load(&self, found: &Installed, weights: Weights) -> Result<Network, LoadError> {
        if weights == Weights::Float16 {
            let model = half_precision(&std::fs::read(&found.path)?)?;
            return Ok(Network::Whole(self.builder()?.commit_from_memory(&model)?));
        }
        // On a GPU the features would have to leave it and come back.
        let on_cpu = matches!(self.slot, Slot::Cpu { .. });
        let parts = if on_cpu && found.kind == Kind::Upscaler { split(&std::fs::read(&found.path)?) } else { None };
        if let Some(Split { trunk, tail, halo }) = parts {
            let session = |model: &[u8]| self.builder()?.commit_from_memory(model);
            let (trunk, tail, scale) = (session(&trunk)?, session(&tail)?, found.scale as usize);
            return Ok(Network::Split { trunk, tail, halo, scale });
        }
        Ok(Network::Whole(self.builder()?.commit_from_file(&found.path)?))
    }

    fn builder(&self) -> Result<SessionBuilder, ort::Error> {
        let mut builder = Session::builder(&self.environment)?
            // Below the highest level, ONNX Runtime does not use its blocked convolution kernels; the CPU is 40 %
            // slower.
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_execution_providers(self.slot.providers())?
            // A memory pattern is kept per input size and rarely used again, because tiles differ in size.
            .with_memory_pattern(false)?;
        if let Slot::Cpu { threads } = self.slot {
            builder = builder.with_intra_threads(threads)?;
        }
        Ok(builder)
    }
}
