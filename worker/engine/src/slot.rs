//! The devices that `DEVICE` and `PRECISION` stand for on this machine.

use std::path::Path;

use crate::device::Device;
use crate::error::Cause;
use crate::graph::Float;
use crate::graph::Runtime;
use crate::onnx::{EngineSettings, StartError};
use crate::onnx_runtime::{Environment, OnnxRuntime, environment, has_cuda, preload};
use crate::openvino_runtime::OpenVino;
use crate::port::RunningOn;
use crate::precision::Precision;

/// One device, and what drives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slot {
    /// The CPU through ONNX Runtime, with this many threads per session.
    Cpu { threads: usize },
    /// The CPU through OpenVINO, with this many threads.
    OpenVino { threads: usize },
    /// The GPU of that number through CUDA.
    Cuda(u32),
    /// The GPU of that number through TensorRT, and through CUDA for what TensorRT cannot run.
    TensorRt(u32),
}

impl Slot {
    /// The threads of a CPU.
    pub fn threads(self) -> Option<usize> {
        match self {
            Slot::Cpu { threads } | Slot::OpenVino { threads } => Some(threads),
            Slot::Cuda(_) | Slot::TensorRt(_) => None,
        }
    }

    /// The device as a setting.
    fn device(self) -> Device {
        match self {
            Slot::Cpu { .. } => Device::Cpu,
            Slot::OpenVino { .. } => Device::OpenVino,
            Slot::Cuda(number) => Device::Cuda(vec![number]),
            Slot::TensorRt(number) => Device::TensorRt(vec![number]),
        }
    }

    /// The type of 16 bits in which the device computes.
    pub fn short_float(self) -> Float {
        match self {
            Slot::Cpu { .. } | Slot::OpenVino { .. } => Float::BFloat16,
            Slot::Cuda(_) | Slot::TensorRt(_) => Float::Float16,
        }
    }
}

/// The devices of an engine.
pub struct Devices {
    /// Each device with its runtime.
    pub runtimes: Vec<(Slot, Box<dyn Runtime>)>,
    /// The precision, which is `auto` only where the device has a type of 16 bits and each network decides whether it is used.
    pub precision: Precision,
    /// Why these devices are used, where `DEVICE` does not say.
    why: String,
}

impl Devices {
    /// Starts what drives the devices that `settings` stand for.
    ///
    /// # Errors
    /// A library cannot be loaded, or the devices do not compute in the precision that was asked for.
    pub fn start(settings: &EngineSettings, threads: usize, folder: &Path) -> Result<Self, StartError> {
        let needs_openvino = || StartError::Precision("bf16 needs OpenVINO", "auto, fp32 or fp16");
        if settings.precision == Precision::BFloat16 && !settings.device.may_use_openvino() {
            return Err(needs_openvino());
        }
        match &settings.device {
            Device::OpenVino => {
                let library = settings.openvino.as_deref().ok_or(StartError::OpenVinoMissing)?;
                let openvino = OpenVino::start(library, threads).map_err(StartError::OpenVino)?;
                Self::openvino(openvino, threads, settings.precision, String::new())
            }
            Device::Cuda(numbers) => Self::gpus(settings, numbers.iter().copied().map(Slot::Cuda), folder),
            Device::TensorRt(numbers) => Self::gpus(settings, numbers.iter().copied().map(Slot::TensorRt), folder),
            Device::Cpu => Self::cpu(settings, threads, folder, String::new()),
            Device::Auto => {
                let why = match gpu_for_auto(settings, folder) {
                    Ok(devices) => return Ok(devices),
                    Err(why) => why,
                };
                match openvino_for_auto(settings, threads) {
                    Ok(openvino) => Self::openvino(openvino, threads, settings.precision, format!(", and {why}")),
                    Err(_) if settings.precision == Precision::BFloat16 => Err(needs_openvino()),
                    Err(also) => Self::cpu(settings, threads, folder, format!(", {why}, and {also}")),
                }
            }
        }
    }

    /// ONNX Runtime on the CPU.
    fn cpu(settings: &EngineSettings, threads: usize, folder: &Path, why: String) -> Result<Self, StartError> {
        let environment = loaded(&settings.runtime)?;
        let slot = Slot::Cpu { threads };
        let runtime: Box<dyn Runtime> = Box::new(OnnxRuntime::new(environment, slot, folder));
        // It has no 16 bits that are faster.
        let precision = if settings.precision == Precision::Auto { Precision::Single } else { settings.precision };
        Ok(Self { runtimes: vec![(slot, runtime)], precision, why })
    }

    /// ONNX Runtime on GPUs, each of which has to run a small network first.
    fn gpus(settings: &EngineSettings, slots: impl Iterator<Item = Slot>, folder: &Path) -> Result<Self, StartError> {
        let (library, needed) = settings.cuda.split_first().unwrap_or((&settings.runtime, &[]));
        preload(needed).map_err(|cause| StartError::Library(library.clone(), cause))?;
        let environment = loaded(library)?;
        if !has_cuda() {
            return Err(StartError::NoCuda);
        }
        let start = |slot: Slot| -> Result<(Slot, Box<dyn Runtime>), StartError> {
            let mut runtime = Box::new(OnnxRuntime::new(environment.clone(), slot, folder));
            runtime.try_device().map_err(|reason| StartError::Gpu(slot.device(), reason))?;
            Ok((slot, runtime))
        };
        let runtimes = slots.map(start).collect::<Result<_, _>>()?;
        Ok(Self { runtimes, precision: settings.precision, why: String::new() })
    }

    fn openvino(
        mut openvino: OpenVino,
        threads: usize,
        precision: Precision,
        mut why: String,
    ) -> Result<Self, StartError> {
        let precision = match precision {
            Precision::Half => return Err(StartError::Precision("OpenVINO has no fp16", "auto, fp32 or bf16")),
            Precision::Auto if !openvino.has_bfloat16() => Precision::Single,
            Precision::Auto => match openvino.is_faster_in_bfloat16() {
                Ok(true) => Precision::Auto,
                Ok(false) => {
                    why.push_str("; this CPU is no faster in bf16");
                    Precision::Single
                }
                Err(error) => {
                    tracing::warn!(%error, "a small network does not run in bf16; networks run in fp32");
                    why.push_str("; a small network does not run in bf16");
                    Precision::Single
                }
            },
            Precision::BFloat16 if !openvino.has_bfloat16() => {
                return Err(StartError::Precision("this CPU has no bf16", "auto or fp32"));
            }
            given => given,
        };
        Ok(Self { runtimes: vec![(Slot::OpenVino { threads }, Box::new(openvino))], precision, why })
    }

    /// What this comes to, in words.
    pub fn running_on(&self, settings: &EngineSettings) -> RunningOn {
        let slots = || self.runtimes.iter().map(|(slot, _)| *slot);
        let mut device = Device::Cpu;
        for slot in slots() {
            match (slot, &mut device) {
                (Slot::Cuda(number), Device::Cuda(numbers)) | (Slot::TensorRt(number), Device::TensorRt(numbers)) => {
                    numbers.push(number);
                }
                _ => device = slot.device(),
            }
        }
        let mut reason = format!("DEVICE is {}{}", settings.device, self.why);
        if let Some(threads) = slots().find_map(Slot::threads) {
            reason = format!("{threads} threads; {reason}");
        }
        let precision = match self.precision {
            Precision::Auto => {
                let short = slots().next().map_or(Float::Float32, Slot::short_float);
                let name = short.name();
                reason = format!("{reason}; {name} is used for networks whose pictures it hardly changes");
                if short == Float::Float16 { Precision::Half } else { Precision::BFloat16 }
            }
            given => given,
        };
        RunningOn { device: device.to_string(), precision: precision.to_string(), reason }
    }
}

/// The first GPU where `DEVICE` is auto, or why it is not used.
fn gpu_for_auto(settings: &EngineSettings, folder: &Path) -> Result<Devices, &'static str> {
    if !settings.device.may_use_gpus() {
        return Err("there is no GPU of NVIDIA");
    }
    if settings.precision == Precision::BFloat16 {
        return Err("a GPU has no bf16 here");
    }
    Devices::gpus(settings, std::iter::once(Slot::Cuda(0)), folder).map_err(|error| {
        tracing::warn!(%error, "the GPU cannot be used; networks run on the CPU");
        "the GPU cannot be used"
    })
}

/// OpenVINO where `DEVICE` is auto and no GPU is used, or why it is not.
fn openvino_for_auto(settings: &EngineSettings, threads: usize) -> Result<OpenVino, &'static str> {
    if settings.precision == Precision::Half {
        return Err("OpenVINO has no fp16");
    }
    let library = settings.openvino.as_deref().ok_or("OpenVINO is not installed")?;
    OpenVino::start(library, threads).map_err(|error: Cause| {
        tracing::warn!(%error, library = %library.display(), "OpenVINO does not start; networks run on ONNX Runtime");
        "OpenVINO does not start"
    })
}

fn loaded(library: &Path) -> Result<Environment, StartError> {
    environment(library).map_err(|cause| StartError::Library(library.into(), cause))
}
