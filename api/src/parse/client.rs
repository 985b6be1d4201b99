//! Who calls: the peer of the socket, or the address that a trusted proxy forwards for.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Once;

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use remaster_shared::client::{ClientHasher, ClientKey};

use crate::state::Shared;

/// The caller, known from here on only by keyed hashes.
#[derive(Debug, Clone, Copy)]
pub struct Client {
    /// What its quota is counted under.
    pub key: ClientKey,
    /// The larger networks of IPv6 that it belongs to.
    pub networks: Option<[ClientKey; 2]>,
}

impl Client {
    /// The client that calls from `address`.
    pub fn at(hasher: &ClientHasher, address: IpAddr) -> Self {
        Self { key: hasher.key(address), networks: hasher.networks(address) }
    }
}

impl FromRequestParts<Shared> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Infallible> {
        let peer = peer(parts);
        // A line that is not valid UTF-8 is kept with replacement characters. If it were dropped, a caller could hide the
        // address that a proxy appended to it.
        let lines = |name: &str| -> Vec<_> {
            parts.headers.get_all(name).into_iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect()
        };
        let (forwarded, x_forwarded_for) = (lines("forwarded"), lines("x-forwarded-for"));
        let forwards = !forwarded.is_empty() || !x_forwarded_for.is_empty();
        if forwards && !api.settings.trusted_proxies.trusts(peer) {
            warn_of_proxy(peer);
        }
        let caller = api.settings.trusted_proxies.client(peer, &forwarded, &x_forwarded_for);
        Ok(Self::at(api.store.hasher(), caller))
    }
}

/// The peer of the socket. There is none when the router is called directly.
pub fn peer(parts: &Parts) -> IpAddr {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>();
    peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0.ip())
}

/// Says once that a header names another caller than the peer, which is not believed. Behind a proxy all callers share one quota then.
fn warn_of_proxy(peer: IpAddr) {
    static SAID: Once = Once::new();
    SAID.call_once(|| {
        tracing::warn!(
            "{peer} forwards requests of others, and is not trusted: all of them share its quota. If it is your proxy, set \
             TRUSTED_PROXIES={peer}"
        );
    });
}
