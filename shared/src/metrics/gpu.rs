//! The GPUs of the machine, as NVIDIA's driver tells of them through its
//! [management library](https://docs.nvidia.com/deploy/nvml-api/). A machine without that driver has none.

use std::sync::atomic::AtomicU64;

use nvml_wrapper::Nvml;
use nvml_wrapper::enum_wrappers::device::TemperatureSensor;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::{family::Family, gauge::Gauge};
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct GpuLabel {
    gpu: u32,
}

type Numbers<T> = Family<GpuLabel, T>;
type Fraction = Gauge<f64, AtomicU64>;

/// What the driver tells of one GPU now. What it does not tell is left out.
#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    /// The part of the last moment in which the GPU computed, from 0 to 1.
    busy: Option<f64>,
    /// Memory in use and in all, in bytes, by whatever process.
    memory: Option<(u64, u64)>,
    /// In degrees Celsius.
    temperature: Option<u32>,
    /// In watts.
    power: Option<f64>,
}

/// The numbers of all GPUs.
pub(super) struct GpuMetrics {
    driver: Nvml,
    numbers: GpuNumbers,
}

impl GpuMetrics {
    /// `None` on a machine without the driver.
    pub(super) fn open() -> Option<Self> {
        let driver = Nvml::init().ok()?;
        Some(Self { driver, numbers: GpuNumbers::default() })
    }

    /// The numbers as they are now, in a registry of their own.
    pub(super) fn registry(&self) -> &Registry {
        self.numbers.clear();
        for gpu in 0..self.driver.device_count().unwrap_or(0) {
            self.numbers.set(gpu, self.read(gpu));
        }
        &self.numbers.registry
    }

    fn read(&self, gpu: u32) -> Reading {
        let Ok(device) = self.driver.device_by_index(gpu) else { return Reading::default() };
        Reading {
            busy: device.utilization_rates().ok().map(|rates| f64::from(rates.gpu) / 100.0),
            memory: device.memory_info().ok().map(|memory| (memory.used, memory.total)),
            temperature: device.temperature(TemperatureSensor::Gpu).ok(),
            power: device.power_usage().ok().map(|milliwatts| f64::from(milliwatts) / 1000.0),
        }
    }
}

struct GpuNumbers {
    registry: Registry,
    busy: Numbers<Fraction>,
    memory: Numbers<Gauge>,
    memory_total: Numbers<Gauge>,
    temperature: Numbers<Gauge>,
    power: Numbers<Fraction>,
}

impl Default for GpuNumbers {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("remaster_gpu");
        let (busy, power) = (Family::default(), Family::default());
        let (memory, memory_total, temperature) = (Family::default(), Family::default(), Family::default());
        registry.register(
            "busy_ratio",
            "The part of the last moment in which the GPU computed, from 0 to 1",
            busy.clone(),
        );
        registry.register("memory_used_bytes", "Memory of the GPU that any process uses", memory.clone());
        registry.register("memory_total_bytes", "Memory of the GPU", memory_total.clone());
        registry.register("temperature_celsius", "The temperature of the GPU", temperature.clone());
        registry.register("power_watts", "The power that the GPU takes", power.clone());
        Self { registry, busy, memory, memory_total, temperature, power }
    }
}

impl GpuNumbers {
    /// Forgets what was told before: a GPU may be gone.
    fn clear(&self) {
        [&self.busy, &self.power].into_iter().for_each(Family::clear);
        [&self.memory, &self.memory_total, &self.temperature].into_iter().for_each(Family::clear);
    }

    fn set(&self, gpu: u32, reading: Reading) {
        let gpu = GpuLabel { gpu };
        let whole = |numbers: &Numbers<Gauge>, value: Option<u64>| {
            if let Some(value) = value {
                numbers.get_or_create(&gpu).set(i64::try_from(value).unwrap_or(i64::MAX));
            }
        };
        let fraction = |numbers: &Numbers<Fraction>, value: Option<f64>| {
            if let Some(value) = value {
                numbers.get_or_create(&gpu).set(value);
            }
        };
        fraction(&self.busy, reading.busy);
        fraction(&self.power, reading.power);
        whole(&self.memory, reading.memory.map(|(used, _)| used));
        whole(&self.memory_total, reading.memory.map(|(_, total)| total));
        whole(&self.temperature, reading.temperature.map(u64::from));
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode_registry;

    use super::*;

    #[test]
    fn what_the_driver_does_not_tell_is_left_out() {
        let numbers = GpuNumbers::default();
        let text = || {
            let mut text = String::new();
            encode_registry(&mut text, &numbers.registry).unwrap();
            text
        };
        numbers.set(1, Reading { busy: Some(0.25), memory: Some((5, 8)), temperature: Some(60), power: Some(70.5) });
        for line in [
            "remaster_gpu_busy_ratio{gpu=\"1\"} 0.25",
            "remaster_gpu_memory_used_bytes{gpu=\"1\"} 5",
            "remaster_gpu_memory_total_bytes{gpu=\"1\"} 8",
            "remaster_gpu_temperature_celsius{gpu=\"1\"} 60",
            "remaster_gpu_power_watts{gpu=\"1\"} 70.5",
        ] {
            assert!(text().contains(line), "{line}\n{}", text());
        }
        numbers.clear();
        numbers.set(1, Reading { busy: Some(0.5), ..Reading::default() });
        assert!(text().contains("busy_ratio{gpu=\"1\"} 0.5") && !text().contains("watts{"), "{}", text());
    }
}
