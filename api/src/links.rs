//! Where links point: `PUBLIC_URL`, or the host that the caller itself used.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::{header, request::Parts};
use remaster_shared::job::UrlBase;

use crate::state::Shared;

pub struct Links(pub UrlBase);

impl FromRequestParts<Shared> for Links {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, api: &Shared) -> Result<Self, Infallible> {
        if let Some(base) = &api.settings.public_url {
            return Ok(Self(base.clone()));
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host
            .filter(|host| !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || ".:-[]".contains(c)));
        // Without a usable host, links are relative to the server's root.
        Ok(Self(UrlBase::new(&host.map(|host| format!("http://{host}")).unwrap_or_default())))
    }
}
