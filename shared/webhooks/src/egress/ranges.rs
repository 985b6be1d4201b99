//! Which addresses are not public, and of what kind each of them is.
//!
//! The table follows the IANA registries of special-purpose addresses for
//! [IPv4](https://www.iana.org/assignments/iana-ipv4-special-registry/) and
//! [IPv6](https://www.iana.org/assignments/iana-ipv6-special-registry/). Of IPv6 only 2000::/3 is assigned as global unicast
//! at all (RFC 4291), so everything outside that range is refused, and the table lists the exceptions inside it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use strum::Display;

/// Why an address is not public.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Display)]
#[strum(serialize_all = "kebab-case")]
pub enum AddressKind {
    /// "This network" and the unspecified address.
    Unspecified,
    /// A private network.
    Private,
    /// This machine.
    Loopback,
    /// An address of this machine's that may well be public.
    #[strum(to_string = "this machine")]
    Own,
    /// The local link.
    LinkLocal,
    /// The shared address space of carrier-grade NAT (RFC 6598).
    #[strum(to_string = "carrier-grade NAT")]
    SharedCarrier,
    /// The metadata service of a cloud provider.
    #[strum(to_string = "cloud metadata")]
    Metadata,
    /// A multicast group.
    Multicast,
    /// The limited broadcast address.
    Broadcast,
    /// Reserved for documentation.
    Documentation,
    /// Reserved for benchmarks.
    Benchmarking,
    /// Reserved for another purpose, or not assigned.
    Reserved,
    /// An IPv6 address that contains an IPv4 address, to which a gateway may deliver.
    #[strum(to_string = "IPv4-in-IPv6")]
    Tunnel,
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix))
}

const fn v6(a: u16, b: u16, c: u16, prefix: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0), prefix))
}

const LOOPBACK_6: IpNet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128));
const UNSPECIFIED_6: IpNet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128));
const METADATA_AWS_6: IpNet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), 128));
const METADATA_GCP_6: IpNet = IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254), 128));
const GLOBAL_6: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// The first match determines the kind, so narrow ranges come before the ranges that contain them.
const NON_PUBLIC: &[(IpNet, AddressKind)] = &[
    (v4(169, 254, 169, 254, 32), AddressKind::Metadata),
    (v4(169, 254, 170, 2, 32), AddressKind::Metadata),
    (v4(100, 100, 100, 200, 32), AddressKind::Metadata),
    (v4(192, 0, 0, 192, 32), AddressKind::Metadata),
    // A public address in form, but inside Azure it is the agent of the host.
    (v4(168, 63, 129, 16, 32), AddressKind::Metadata),
    (v4(0, 0, 0, 0, 8), AddressKind::Unspecified),
    (v4(10, 0, 0, 0, 8), AddressKind::Private),
    (v4(100, 64, 0, 0, 10), AddressKind::SharedCarrier),
    (v4(127, 0, 0, 0, 8), AddressKind::Loopback),
    (v4(169, 254, 0, 0, 16), AddressKind::LinkLocal),
    (v4(172, 16, 0, 0, 12), AddressKind::Private),
    (v4(192, 0, 0, 0, 24), AddressKind::Reserved),
    (v4(192, 0, 2, 0, 24), AddressKind::Documentation),
    (v4(192, 88, 99, 0, 24), AddressKind::Tunnel),
    (v4(192, 168, 0, 0, 16), AddressKind::Private),
    (v4(198, 18, 0, 0, 15), AddressKind::Benchmarking),
    (v4(198, 51, 100, 0, 24), AddressKind::Documentation),
    (v4(203, 0, 113, 0, 24), AddressKind::Documentation),
    (v4(224, 0, 0, 0, 4), AddressKind::Multicast),
    (v4(255, 255, 255, 255, 32), AddressKind::Broadcast),
    (v4(240, 0, 0, 0, 4), AddressKind::Reserved),
    (METADATA_AWS_6, AddressKind::Metadata),
    (METADATA_GCP_6, AddressKind::Metadata),
    (LOOPBACK_6, AddressKind::Loopback),
    (UNSPECIFIED_6, AddressKind::Unspecified),
    // IPv4-compatible.
    (v6(0, 0, 0, 96), AddressKind::Tunnel),
    // NAT64: the well-known prefix (RFC 6052) and the prefix for local use (RFC 8215).
    (v6(0x64, 0xff9b, 0, 96), AddressKind::Tunnel),
    (v6(0x64, 0xff9b, 1, 48), AddressKind::Tunnel),
    // Teredo (RFC 4380) and 6to4 (RFC 3056).
    (v6(0x2001, 0, 0, 32), AddressKind::Tunnel),
    (v6(0x2002, 0, 0, 16), AddressKind::Tunnel),
    (v6(0x2001, 2, 0, 48), AddressKind::Benchmarking),
    (v6(0x2001, 0xdb8, 0, 32), AddressKind::Documentation),
    (v6(0x3fff, 0, 0, 20), AddressKind::Documentation),
    // IETF protocol assignments, including both ORCHID ranges. They contain no web servers.
    (v6(0x2001, 0, 0, 23), AddressKind::Reserved),
    (v6(0xfc00, 0, 0, 7), AddressKind::Private),
    (v6(0xfe80, 0, 0, 10), AddressKind::LinkLocal),
    // Site-local addresses: deprecated (RFC 3879), but still in use in some networks.
    (v6(0xfec0, 0, 0, 10), AddressKind::Private),
    (v6(0xff00, 0, 0, 8), AddressKind::Multicast),
];

/// The kind of an address that is not public; `None` for a public address. An IPv4-mapped IPv6 address is treated as IPv4.
pub(super) fn non_public(address: IpAddr) -> Option<AddressKind> {
    let address = address.to_canonical();
    if let Some((_, kind)) = NON_PUBLIC.iter().find(|(net, _)| net.contains(&address)) {
        return Some(*kind);
    }
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) if !GLOBAL_6.contains(&v6) => Some(AddressKind::Reserved),
        IpAddr::V6(v6) => isatap(v6).then_some(AddressKind::Tunnel),
    }
}

/// Whether the interface identifier is one of ISATAP (RFC 5214), which contains an IPv4 address under any prefix.
fn isatap(address: Ipv6Addr) -> bool {
    let [_, _, _, _, flags, mark, ..] = address.segments();
    flags & !0x0200 == 0 && mark == 0x5efe
}
