//! How the allocator of glibc keeps memory. By itself it keeps what each thread has freed, for that thread, and pictures are made on many
//! threads: after some minutes of load a service had four times the memory that it needed (docs/reliability.md).

/// Threads share two arenas, and a buffer of 1 MiB or more goes back to the system as soon as it is freed.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const SETTINGS: [(&str, &str); 3] =
    [("MALLOC_ARENA_MAX", "2"), ("MALLOC_MMAP_THRESHOLD_", "1048576"), ("MALLOC_TRIM_THRESHOLD_", "16777216")];

/// Puts the program of this process, if it is a node, in its own place, since glibc reads these settings only when a program starts. Whoever
/// has made settings of glibc keeps theirs.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_little() {
    use std::env::{args_os, current_exe, var_os};
    use std::os::unix::process::CommandExt;
    use std::process::Command;

    let is_node = args_os().skip(1).any(|word| ["serve", "api", "worker"].iter().any(|role| word == *role));
    let is_set = SETTINGS.iter().any(|(name, _)| var_os(name).is_some()) || var_os("GLIBC_TUNABLES").is_some();
    if let Ok(program) = current_exe()
        && is_node
        && !is_set
    {
        // It returns only if that fails, and then the node runs as it is.
        let _ = Command::new(program).args(args_os().skip(1)).envs(SETTINGS).exec();
    }
}

/// Other systems have other allocators.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_little() {}
