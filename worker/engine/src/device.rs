//! The setting `DEVICE`: the processors on which networks run.

use std::{fmt, str::FromStr};

use remaster_shared::gpu;

/// The processors on which networks run. Several devices of one kind share the work; each has a thread of its own.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Device {
    /// The first GPU where the machine has one and networks run on it through CUDA, else the CPU: through OpenVINO where that is installed.
    #[default]
    Auto,
    /// The CPU through ONNX Runtime.
    Cpu,
    /// The CPU through OpenVINO.
    OpenVino,
    /// CUDA on the GPUs of these device numbers, in ascending order.
    Cuda(Vec<u32>),
    /// TensorRT on the GPUs of these device numbers, in ascending order.
    TensorRt(Vec<u32>),
}

impl Device {
    /// Whether networks may run on GPUs of this machine.
    #[must_use]
    pub fn may_use_gpus(&self) -> bool {
        match self {
            Device::Auto => gpu::count() > 0,
            Device::Cuda(_) | Device::TensorRt(_) => true,
            Device::Cpu | Device::OpenVino => false,
        }
    }

    /// Whether networks may run on OpenVINO.
    pub fn may_use_openvino(&self) -> bool {
        matches!(self, Device::Auto | Device::OpenVino)
    }
}

/// The text names no device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("auto, cpu, openvino, cuda:0, cuda:0,1,2,3 or tensorrt:0")]
pub struct DeviceError;

impl FromStr for Device {
    type Err = DeviceError;

    fn from_str(text: &str) -> Result<Self, DeviceError> {
        let numbers = |list: &str| -> Result<Vec<u32>, DeviceError> {
            let mut numbers =
                list.split(',').map(|number| number.parse().map_err(|_| DeviceError)).collect::<Result<Vec<_>, _>>()?;
            numbers.sort_unstable();
            numbers.dedup();
            Ok(numbers)
        };
        match text.split_once(':') {
            None if text == "auto" => Ok(Device::Auto),
            None if text == "cpu" => Ok(Device::Cpu),
            None if text == "openvino" => Ok(Device::OpenVino),
            Some(("cuda", list)) => numbers(list).map(Device::Cuda),
            Some(("tensorrt", list)) => numbers(list).map(Device::TensorRt),
            _ => Err(DeviceError),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |numbers: &[u32]| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        match self {
            Device::Auto => f.write_str("auto"),
            Device::Cpu => f.write_str("cpu"),
            Device::OpenVino => f.write_str("openvino"),
            Device::Cuda(numbers) => write!(f, "cuda:{}", list(numbers)),
            Device::TensorRt(numbers) => write!(f, "tensorrt:{}", list(numbers)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_device_that_may_be_a_gpu_asks_for_its_runtime() {
        let may = |text: &str| text.parse::<Device>().unwrap().may_use_gpus();
        assert!(may("cuda:0") && may("tensorrt:1") && !may("cpu") && !may("openvino"));
    }

    #[test]
    fn parses_what_it_prints_and_refuses_the_rest() {
        for text in ["auto", "cpu", "openvino", "cuda:0", "cuda:0,1,2,3", "tensorrt:0"] {
            assert_eq!(text.parse::<Device>().unwrap().to_string(), text);
        }
        assert_eq!("cuda:1,0,1".parse(), Ok(Device::Cuda(vec![0, 1])));
        for bad in ["", "gpu", "cuda", "cuda:", "cuda:a", "cuda:-1", "cpu:0", "CUDA:0", "tensorrt:0,", "openvino:0"] {
            assert!(bad.parse::<Device>().is_err(), "{bad:?}");
        }
    }
}
