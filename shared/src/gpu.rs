//! The GPUs of the machine.

use nvml_wrapper::Nvml;

/// The number of GPUs of which NVIDIA's driver tells; none on a machine without that driver.
#[must_use]
pub fn count() -> u32 {
    Nvml::init().and_then(|driver| driver.device_count()).unwrap_or(0)
}
