//! Who calls: the socket's peer, or whom a trusted proxy forwards for; known further on only by its quota key.

use std::{convert::Infallible, net::SocketAddr};

use axum::extract::{ConnectInfo, FromRequestParts};
use axum::http::request::Parts;
use remaster_shared::client::ClientKey;

use crate::state::Shared;

#[derive(Debug, Clone, Copy)]
pub struct Client(pub ClientKey);

impl FromRequestParts<Shared> for Client {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Infallible> {
        // Without a socket (a test calling the router) everybody is the machine itself.
        let peer = parts
            .extensions
            .get::<ConnectInfo<SocketAddr>>()
            .map_or(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), |peer| peer.0.ip());
        // A line that is no text is no address either, but it is there: dropped, it would hide what a proxy added to it.
        let lines = |name: &str| -> Vec<_> {
            parts.headers.get_all(name).into_iter().map(|line| String::from_utf8_lossy(line.as_bytes())).collect()
        };
        let (forwarded, x_forwarded_for) = (lines("forwarded"), lines("x-forwarded-for"));
        let caller = api.settings.trusted_proxies.client(peer, &forwarded, &x_forwarded_for);
        Ok(Self(api.store.hasher().key(caller)))
    }
}
