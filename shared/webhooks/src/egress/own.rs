//! The addresses of this machine itself.

use std::net::IpAddr;

/// The addresses of this machine's network interfaces. Behind one of them may be what only this machine is meant to reach, however public
/// the address is. None where the system does not tell.
pub fn own_addresses() -> Vec<IpAddr> {
    if_addrs::get_if_addrs()
        .inspect_err(|error| tracing::warn!(%error, "the addresses of this machine cannot be read"))
        .unwrap_or_default()
        .into_iter()
        .map(|interface| interface.ip())
        .collect()
}
