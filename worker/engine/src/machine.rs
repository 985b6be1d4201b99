//! What this process may use of the machine.

use sysinfo::{MemoryRefreshKind, ProcessRefreshKind, ProcessesToUpdate, System};

/// The cores that this process may use. A second thread on a core would wait for the same multipliers.
pub fn cores() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, usize::from);
    allowed.min(System::physical_core_count().unwrap_or(allowed))
}

/// The memory in bytes that this process may use: that of the machine, or less where its control group has a limit. `None` where the
/// system does not tell.
pub fn memory() -> Option<u64> {
    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let total = Some(system.total_memory()).filter(|total| *total > 0);
    let limit = sysinfo::get_current_pid().ok().and_then(|id| {
        system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, ProcessRefreshKind::nothing());
        Some(system.process(id)?.cgroup_limits()?.total_memory)
    });
    total.into_iter().chain(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_a_core_and_some_memory() {
        let logical = std::thread::available_parallelism().unwrap().get();
        assert!((1..=logical).contains(&cores()), "{} of {logical}", cores());
        let memory = memory().expect("the system tells");
        assert!(memory > 64 << 20, "{memory}");
    }
}
