//! The addresses of this machine itself. Behind one of them may be what only this machine is meant to reach, however public the address is.

use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long the addresses are remembered. They change: those of IPv6 every day.
const REMEMBERED: Duration = Duration::from_secs(60);

/// Which addresses count as this machine's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Own {
    /// These.
    These(Vec<IpAddr>),
    /// Those that its network interfaces have at the time; none where the system does not tell.
    OfItsInterfaces,
}

impl Own {
    pub(super) fn has(&self, address: IpAddr) -> bool {
        match self {
            Self::These(addresses) => addresses.contains(&address),
            Self::OfItsInterfaces => of_interfaces().contains(&address),
        }
    }
}

fn of_interfaces() -> Vec<IpAddr> {
    static SEEN: Mutex<Option<(Instant, Vec<IpAddr>)>> = Mutex::new(None);
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((at, addresses)) = &*seen
        && at.elapsed() < REMEMBERED
    {
        return addresses.clone();
    }
    let addresses: Vec<_> = if_addrs::get_if_addrs()
        .inspect_err(|error| tracing::warn!(%error, "the addresses of this machine cannot be read"))
        .unwrap_or_default()
        .into_iter()
        .map(|interface| interface.ip())
        .collect();
    *seen = Some((Instant::now(), addresses.clone()));
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interfaces_have_loopback_among_them() {
        assert!(Own::OfItsInterfaces.has([127, 0, 0, 1].into()));
        assert!(!Own::OfItsInterfaces.has([93, 184, 215, 14].into()));
    }
}
