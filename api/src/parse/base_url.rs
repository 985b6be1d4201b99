//! What links in answers start with: the setting `PUBLIC_URL`, or else the host that the request named.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use remaster_shared::job::UrlBase;

use super::client::peer;
use crate::state::Shared;

/// The start of every link in the answer to a request.
pub struct BaseUrl(pub UrlBase);

impl FromRequestParts<Shared> for BaseUrl {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Infallible> {
        if let Some(base) = &api.settings.public_url {
            return Ok(Self(base.clone()));
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host
            .filter(|host| !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".:-[]".contains(c)));
        let scheme = if is_https(parts, api) { "https" } else { "http" };
        // Without a usable host, links are relative to the root of the server.
        Ok(Self(UrlBase::new(&host.map(|host| format!("{scheme}://{host}")).unwrap_or_default())))
    }
}

/// Whether a trusted proxy says that its caller speaks TLS with it. What others say does not count.
fn is_https(parts: &Parts, api: &Shared) -> bool {
    let said = parts.headers.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    said && api.settings.trusted_proxies.trusts(peer(parts).to_canonical())
}
