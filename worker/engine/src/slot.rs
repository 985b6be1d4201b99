//! The devices that `DEVICE` and `PRECISION` stand for on this machine.

use crate::device::Device;
use crate::error::Cause;
use crate::graph::Runtime;
use crate::onnx::{EngineSettings, StartError};
use crate::onnx_runtime::{OnnxRuntime, environment, has_cuda};
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
}

/// The devices of an engine.
pub struct Devices {
    /// Each device with its runtime.
    pub runtimes: Vec<(Slot, Box<dyn Runtime>)>,
    /// The precision, which is `auto` only where the CPU has bfloat16 and each network decides whether it is used.
    pub precision: Precision,
    /// Why these devices are used, where `DEVICE` does not say.
    why: &'static str,
}

impl Devices {
    /// Starts what drives the devices that `settings` stand for.
    ///
    /// # Errors
    /// A library cannot be loaded, or the devices do not compute in the precision that was asked for.
    pub fn start(settings: &EngineSettings, threads: usize) -> Result<Self, StartError> {
        if settings.device == Device::OpenVino {
            let library = settings.openvino.as_deref().ok_or(StartError::OpenVinoMissing)?;
            let openvino = OpenVino::start(library, threads).map_err(StartError::OpenVino)?;
            return Self::openvino(openvino, threads, settings.precision, "");
        }
        let needs_openvino = || StartError::Precision("bf16 needs OpenVINO", "auto, fp32 or fp16");
        if settings.precision == Precision::BFloat16 && settings.device != Device::Auto {
            return Err(needs_openvino());
        }
        let failed = |cause| StartError::Library(settings.runtime.clone(), cause);
        let environment = environment(&settings.runtime).map_err(failed)?;
        let (slots, why) = match &settings.device {
            Device::Cuda(numbers) => (numbers.iter().map(|number| Slot::Cuda(*number)).collect(), ""),
            Device::TensorRt(numbers) => (numbers.iter().map(|number| Slot::TensorRt(*number)).collect(), ""),
            Device::Auto if has_cuda() => (vec![Slot::Cuda(0)], ""),
            Device::Auto => match openvino_for_auto(settings, threads) {
                Ok(openvino) => return Self::openvino(openvino, threads, settings.precision, ", and there is no CUDA"),
                Err(why) => (vec![Slot::Cpu { threads }], why),
            },
            Device::Cpu | Device::OpenVino => (vec![Slot::Cpu { threads }], ""),
        };
        let precision = match settings.precision {
            Precision::Auto => Precision::Single,
            Precision::BFloat16 => return Err(needs_openvino()),
            given => given,
        };
        let runtime =
            |slot| -> (Slot, Box<dyn Runtime>) { (slot, Box::new(OnnxRuntime::new(environment.clone(), slot))) };
        Ok(Self { runtimes: slots.into_iter().map(runtime).collect(), precision, why })
    }

    fn openvino(
        openvino: OpenVino,
        threads: usize,
        precision: Precision,
        why: &'static str,
    ) -> Result<Self, StartError> {
        let precision = match precision {
            Precision::Half => return Err(StartError::Precision("OpenVINO has no fp16", "auto, fp32 or bf16")),
            Precision::Auto if !openvino.has_bfloat16() => Precision::Single,
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
                (Slot::Cuda(number), _) => device = Device::Cuda(vec![number]),
                (Slot::TensorRt(number), _) => device = Device::TensorRt(vec![number]),
                (Slot::OpenVino { .. }, _) => device = Device::OpenVino,
                (Slot::Cpu { .. }, _) => device = Device::Cpu,
            }
        }
        let mut reason = format!("DEVICE is {}{}", settings.device, self.why);
        if let Some(threads) = slots().find_map(Slot::threads) {
            reason = format!("{threads} threads; {reason}");
        }
        let precision = match self.precision {
            Precision::Auto => {
                reason.push_str("; the CPU has bf16, which is used for networks whose pictures it hardly changes");
                Precision::BFloat16
            }
            given => given,
        };
        RunningOn { device: device.to_string(), precision: precision.to_string(), reason }
    }
}

/// OpenVINO where `DEVICE` is auto and there is no GPU, or why it is not used.
fn openvino_for_auto(settings: &EngineSettings, threads: usize) -> Result<OpenVino, &'static str> {
    if settings.precision == Precision::Half {
        return Err(", there is no CUDA, and OpenVINO has no fp16");
    }
    let library = settings.openvino.as_deref().ok_or(", and there is neither CUDA nor OpenVINO")?;
    OpenVino::start(library, threads).map_err(|error: Cause| {
        tracing::warn!(%error, library = %library.display(), "OpenVINO does not start; networks run on ONNX Runtime");
        ", there is no CUDA, and OpenVINO does not start"
    })
}
