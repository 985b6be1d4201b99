//! Which addresses are not the public internet, and what each of them is.
//!
//! After the IANA special-purpose registries. IPv6 is judged the other way round: only 2000::/3 is handed out at all, so
//! everything outside it is refused, and what remains is a short list of exceptions.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Why an address is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Unspecified,
    Private,
    Loopback,
    LinkLocal,
    SharedCarrier,
    Metadata,
    Multicast,
    Broadcast,
    Documentation,
    Benchmarking,
    Reserved,
    /// Carries an IPv4 address inside that a gateway may deliver to.
    Tunnel,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Kind::Unspecified => "unspecified",
            Kind::Private => "private",
            Kind::Loopback => "loopback",
            Kind::LinkLocal => "link-local",
            Kind::SharedCarrier => "carrier-grade NAT",
            Kind::Metadata => "cloud metadata",
            Kind::Multicast => "multicast",
            Kind::Broadcast => "broadcast",
            Kind::Documentation => "documentation",
            Kind::Benchmarking => "benchmarking",
            Kind::Reserved => "reserved",
            Kind::Tunnel => "IPv4-in-IPv6",
        })
    }
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

/// The first match names the kind, so the narrow ranges come first.
const REFUSED: &[(IpNet, Kind)] = &[
    (v4(169, 254, 169, 254, 32), Kind::Metadata),
    (v4(169, 254, 170, 2, 32), Kind::Metadata),
    (v4(100, 100, 100, 200, 32), Kind::Metadata),
    (v4(192, 0, 0, 192, 32), Kind::Metadata),
    // A public address, but inside Azure it is the host's own agent.
    (v4(168, 63, 129, 16, 32), Kind::Metadata),
    (v4(0, 0, 0, 0, 8), Kind::Unspecified),
    (v4(10, 0, 0, 0, 8), Kind::Private),
    (v4(100, 64, 0, 0, 10), Kind::SharedCarrier),
    (v4(127, 0, 0, 0, 8), Kind::Loopback),
    (v4(169, 254, 0, 0, 16), Kind::LinkLocal),
    (v4(172, 16, 0, 0, 12), Kind::Private),
    (v4(192, 0, 0, 0, 24), Kind::Reserved),
    (v4(192, 0, 2, 0, 24), Kind::Documentation),
    (v4(192, 88, 99, 0, 24), Kind::Tunnel),
    (v4(192, 168, 0, 0, 16), Kind::Private),
    (v4(198, 18, 0, 0, 15), Kind::Benchmarking),
    (v4(198, 51, 100, 0, 24), Kind::Documentation),
    (v4(203, 0, 113, 0, 24), Kind::Documentation),
    (v4(224, 0, 0, 0, 4), Kind::Multicast),
    (v4(255, 255, 255, 255, 32), Kind::Broadcast),
    (v4(240, 0, 0, 0, 4), Kind::Reserved),
    (METADATA_AWS_6, Kind::Metadata),
    (METADATA_GCP_6, Kind::Metadata),
    (LOOPBACK_6, Kind::Loopback),
    (UNSPECIFIED_6, Kind::Unspecified),
    // IPv4-compatible.
    (v6(0, 0, 0, 96), Kind::Tunnel),
    // NAT64, well-known and local.
    (v6(0x64, 0xff9b, 0, 96), Kind::Tunnel),
    (v6(0x64, 0xff9b, 1, 48), Kind::Tunnel),
    // Teredo and 6to4.
    (v6(0x2001, 0, 0, 32), Kind::Tunnel),
    (v6(0x2002, 0, 0, 16), Kind::Tunnel),
    (v6(0x2001, 2, 0, 48), Kind::Benchmarking),
    (v6(0x2001, 0xdb8, 0, 32), Kind::Documentation),
    (v6(0x3fff, 0, 0, 20), Kind::Documentation),
    // Protocol assignments, with both ORCHID ranges: no web server lives there.
    (v6(0x2001, 0, 0, 23), Kind::Reserved),
    (v6(0xfc00, 0, 0, 7), Kind::Private),
    (v6(0xfe80, 0, 0, 10), Kind::LinkLocal),
    // Site-local, withdrawn but still in use here and there.
    (v6(0xfec0, 0, 0, 10), Kind::Private),
    (v6(0xff00, 0, 0, 8), Kind::Multicast),
];

/// What the address is, if it is not plainly public. IPv4-mapped IPv6 is judged as IPv4.
pub(super) fn refused(address: IpAddr) -> Option<Kind> {
    let address = address.to_canonical();
    if let Some((_, kind)) = REFUSED.iter().find(|(net, _)| net.contains(&address)) {
        return Some(*kind);
    }
    match address {
        IpAddr::V4(_) => None,
        IpAddr::V6(v6) if !GLOBAL_6.contains(&v6) => Some(Kind::Reserved),
        IpAddr::V6(v6) => isatap(v6).then_some(Kind::Tunnel),
    }
}

// ISATAP hides an IPv4 address in the interface identifier, under any prefix.
fn isatap(address: Ipv6Addr) -> bool {
    let [_, _, _, _, flags, mark, ..] = address.segments();
    flags & !0x0200 == 0 && mark == 0x5efe
}
