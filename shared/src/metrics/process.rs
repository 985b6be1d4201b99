//! What the process takes of its machine, under the names that
//! [Prometheus' client libraries](https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics) use.

use prometheus_client::metrics::{counter::Counter, gauge::Gauge};
use prometheus_client::registry::Registry;
use std::sync::atomic::{AtomicU64, Ordering};

/// The numbers of this process. Systems other than Linux tell none.
#[derive(Default)]
pub(super) struct ProcessMetrics {
    cpu: Counter<f64, AtomicU64>,
    memory: Gauge,
    files: Gauge,
    threads: Gauge,
}

impl ProcessMetrics {
    /// The numbers as they are now, in a registry of their own.
    pub(super) fn registry(&self) -> Option<Registry> {
        self.read()?;
        let mut registry = Registry::with_prefix("process");
        registry.register("cpu_seconds", "Processor time, in seconds", self.cpu.clone());
        registry.register("resident_memory_bytes", "Resident memory, in bytes", self.memory.clone());
        registry.register("open_fds", "Open files and connections", self.files.clone());
        registry.register("threads", "Threads", self.threads.clone());
        Some(registry)
    }

    #[cfg(target_os = "linux")]
    fn read(&self) -> Option<()> {
        let process = procfs::process::Process::myself().ok()?;
        let stat = process.stat().ok()?;
        let cpu = (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64;
        self.cpu.inner().store(cpu.to_bits(), Ordering::Relaxed);
        self.memory.set(i64::try_from(stat.rss * procfs::page_size()).unwrap_or(i64::MAX));
        self.files.set(process.fd_count().ok()? as i64);
        self.threads.set(stat.num_threads);
        Some(())
    }

    #[cfg(not(target_os = "linux"))]
    fn read(&self) -> Option<()> {
        None
    }
}
